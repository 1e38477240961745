package lab.jobs;

import java.util.LinkedHashMap;
import java.util.Map;

/** The `--name value` pairs of a job's command line. */
final class Args {
  private final Map<String, String> values = new LinkedHashMap<>();

  static Args of(String[] words) {
    Args args = new Args();
    for (int i = 0; i < words.length; i += 2) {
      if (!words[i].startsWith("--") || i + 1 == words.length) {
        throw new IllegalArgumentException("expected --name value, found: " + words[i]);
      }
      args.values.put(words[i].substring(2), words[i + 1]);
    }
    return args;
  }

  String text(String name, String otherwise) {
    return values.getOrDefault(name, otherwise);
  }

  int number(String name, int otherwise) {
    return Integer.parseInt(text(name, Integer.toString(otherwise)));
  }

  Map<String, String> all() {
    return values;
  }
}
