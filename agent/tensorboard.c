#include "agent/tensorboard.h"

#include <errno.h>
#include <string.h>

/* CRC-32C (Castagnoli), bit by bit: the records are short. */
static uint32_t crc32c(const unsigned char *data, size_t n) {
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < n; i++) {
    crc ^= data[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

/* TFRecord stores checksums rotated and shifted, so that a checksum of checksums stays useful. */
static uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

static size_t put_little(unsigned char *out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) out[i] = (unsigned char)(value >> (8 * i));
  return (size_t)bytes;
}

static size_t put_varint(unsigned char *out, uint64_t value) {
  size_t n = 0;
  for (; value >= 128; value >>= 7) out[n++] = (unsigned char)(value | 128);
  out[n++] = (unsigned char)value;
  return n;
}

static void put_record(FILE *file, const unsigned char *data, size_t n) {
  unsigned char frame[12];
  put_little(frame, n, 8);
  put_little(frame + 8, masked(crc32c(frame, 8)), 4);
  fwrite(frame, 1, 12, file);
  fwrite(data, 1, n, file);
  put_little(frame, masked(crc32c(data, n)), 4);
  fwrite(frame, 1, 4, file);
}

/* Event: 1 wall_time (double), 2 step (varint), 3 file_version (text), 5 summary { 1 value { 1 tag, 2 simple_value } }.
 */
static size_t put_double(unsigned char *out, int field, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  out[0] = (unsigned char)(field << 3 | 1);
  return 1 + put_little(out + 1, bits, 8);
}

static size_t put_bytes(unsigned char *out, int field, const void *data, size_t n) {
  size_t at = 0;
  out[at++] = (unsigned char)(field << 3 | 2);
  at += put_varint(out + at, n);
  memcpy(out + at, data, n);
  return at + n;
}

cosrel_status cosrel_tensorboard_open(const char *path, cosrel_tensorboard *out, cosrel_error *error) {
  out->file = fopen(path, "ab");
  if (out->file == NULL) return cosrel_fail(error, COSREL_IO, "%s: %s", path, strerror(errno));
  fseek(out->file, 0, SEEK_END);
  if (ftell(out->file) == 0) {
    static const char version[] = "brain.Event:2";
    unsigned char event[64];
    size_t n = put_double(event, 1, 0);
    n += put_bytes(event + n, 3, version, sizeof version - 1);
    put_record(out->file, event, n);
  }
  return COSREL_OK;
}

void cosrel_tensorboard_scalar(cosrel_tensorboard *tb, double wall_time, int64_t step, const char *tag, float value) {
  unsigned char item[128], summary[160], event[256];
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  size_t length = strlen(tag) < 64 ? strlen(tag) : 64;
  size_t n_item = put_bytes(item, 1, tag, length);
  item[n_item++] = 2 << 3 | 5;
  n_item += put_little(item + n_item, bits, 4);
  size_t n_summary = put_bytes(summary, 1, item, n_item);
  size_t n = put_double(event, 1, wall_time);
  event[n++] = 2 << 3 | 0;
  n += put_varint(event + n, (uint64_t)step);
  n += put_bytes(event + n, 5, summary, n_summary);
  put_record(tb->file, event, n);
}

void cosrel_tensorboard_flush(cosrel_tensorboard *tb) { fflush(tb->file); }

cosrel_status cosrel_tensorboard_close(cosrel_tensorboard *tb) {
  if (tb->file == NULL) return COSREL_OK;
  int failed = ferror(tb->file);
  failed |= fclose(tb->file);
  tb->file = NULL;
  return failed ? COSREL_IO : COSREL_OK;
}
