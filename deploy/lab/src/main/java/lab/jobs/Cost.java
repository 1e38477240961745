package lab.jobs;

import java.io.Serializable;

/**
 * Makes each record cost time, but no processor: Flink counts a sleeping task as busy, so one small machine can
 * carry many "expensive" subtasks. Debts below two milliseconds are collected, because a shorter sleep is not exact.
 */
final class Cost implements Serializable {
  private static final long serialVersionUID = 1L;
  private static final long SHORTEST_SLEEP_NANOS = 2_000_000;

  private final long nanosPerRecord;
  private transient long owedNanos;

  private Cost(long nanosPerRecord) {
    this.nanosPerRecord = nanosPerRecord;
  }

  static Cost ofMicros(long micros) {
    return new Cost(micros * 1000);
  }

  void pay() throws InterruptedException {
    owedNanos += nanosPerRecord;
    if (owedNanos < SHORTEST_SLEEP_NANOS) {
      return;
    }
    long start = System.nanoTime();
    Thread.sleep(owedNanos / 1_000_000);
    // May become negative: a sleep that was too long is given back to the next records.
    owedNanos -= System.nanoTime() - start;
  }
}
