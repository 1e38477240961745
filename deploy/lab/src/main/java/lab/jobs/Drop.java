package lab.jobs;

import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;

/** The end of every job. A function rather than a sink, because Flink moved its sink classes between 1.x and 2.x. */
final class Drop<T> extends ProcessFunction<T, Void> {
  private static final long serialVersionUID = 1L;
  private final Cost cost;

  Drop(Cost cost) {
    this.cost = cost;
  }

  @Override
  public void processElement(T value, Context context, Collector<Void> out) throws Exception {
    cost.pay();
  }
}
