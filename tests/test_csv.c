/* The reader of figures: quoting, places in messages, compressed files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "traces/csv.h"

static cosrel_status read_text(const char *text, size_t size, cosrel_csv *csv, cosrel_error *error) {
  FILE *stream = tmpfile();
  assert_non_null(stream);
  assert_int_equal(fwrite(text, 1, size, stream), size);
  rewind(stream);
  cosrel_status status = cosrel_csv_read_stream(stream, "t.csv", csv, error);
  fclose(stream);
  return status;
}

static void cells_are_unquoted(void **state) {
  static const char text[] = "name,value,note\r\na,1.5,\"x, \"\"y\"\"\"\r\nb,,\"two\nlines\"\nlast,nan,";
  cosrel_csv csv;
  cosrel_error error = {""};
  (void)state;
  assert_int_equal(read_text(text, sizeof text - 1, &csv, &error), COSREL_OK);
  assert_int_equal(csv.n_columns, 3);
  assert_int_equal(csv.n_rows, 3);
  assert_int_equal(cosrel_csv_column(&csv, "note"), 2);
  assert_int_equal(cosrel_csv_column(&csv, "nothing"), -1);
  assert_string_equal(cosrel_csv_cell(&csv, 0, "note"), "x, \"y\"");
  assert_string_equal(cosrel_csv_cell(&csv, 1, "note"), "two\nlines");
  assert_string_equal(cosrel_csv_cell(&csv, 2, "note"), "");
  assert_string_equal(cosrel_csv_cell(&csv, 3, "note"), "");
  assert_true(cosrel_csv_number(&csv, 0, "value", -1) == 1.5);
  assert_true(cosrel_csv_number(&csv, 1, "value", -1) == -1);
  assert_true(cosrel_csv_number(&csv, 2, "value", -1) == -1);
  cosrel_csv_clear(&csv);
}

static void faults_name_file_and_line(void **state) {
  static const struct {
    const char *text;
    size_t size;
    const char *message;
  } faults[] = {{"", 0, "t.csv: expected a header row"},
                {"a,b\n1,2\n3\n", 10, "t.csv: line 3: expected 2 cells, found 1"},
                {"a,b\n\"1\n1\",2\n3,4,5\n", 18, "t.csv: line 4: expected 2 cells, found 3"},
                {"a\n\0\n", 4, "t.csv: expected text, found a NUL byte"}};
  (void)state;
  for (size_t i = 0; i < sizeof faults / sizeof *faults; ++i) {
    cosrel_csv csv;
    cosrel_error error = {""};
    assert_int_not_equal(read_text(faults[i].text, faults[i].size, &csv, &error), COSREL_OK);
    assert_string_equal(error.text, faults[i].message);
  }
  cosrel_csv csv;
  cosrel_error error = {""};
  assert_int_equal(cosrel_csv_read("/nonexistent/x.csv", &csv, &error), COSREL_IO);
}

static void compressed_files_are_read(void **state) {
  char path[] = "/tmp/cosrel-csv-XXXXXX", command[256], packed[64];
  cosrel_csv csv;
  cosrel_error error = {""};
  (void)state;
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "a,b\n7,8\n", 8), 8);
  close(fd);
  snprintf(command, sizeof command, "gzip -f %s", path);
  assert_int_equal(system(command), 0);
  snprintf(packed, sizeof packed, "%s.gz", path);
  assert_int_equal(cosrel_csv_read(packed, &csv, &error), COSREL_OK);
  assert_string_equal(cosrel_csv_cell(&csv, 0, "b"), "8");
  cosrel_csv_clear(&csv);
  FILE *broken = fopen(packed, "wb");
  assert_non_null(broken);
  fputs("not gzip", broken);
  fclose(broken);
  assert_int_not_equal(cosrel_csv_read(packed, &csv, &error), COSREL_OK);
  unlink(packed);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(cells_are_unquoted), cmocka_unit_test(faults_name_file_and_line),
                                     cmocka_unit_test(compressed_files_are_read)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
