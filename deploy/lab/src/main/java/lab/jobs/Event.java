package lab.jobs;

/** One record of any topic: `key,number`. A Flink POJO, hence the public fields and the empty constructor. */
public class Event {
  public String key = "";
  public long number;

  public Event() {}

  public Event(String key, long number) {
    this.key = key;
    this.number = number;
  }

  static Event parse(String line) {
    int comma = line.indexOf(',');
    return new Event(line.substring(0, comma), Long.parseLong(line.substring(comma + 1)));
  }

  public String getKey() {
    return key;
  }
}
