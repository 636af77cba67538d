#define _GNU_SOURCE
#include "answer.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD, BODY, UNTIL_CLOSE, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

void answer_begin(Answer *answer) {
  answer->state = HEAD;
  answer->head_len = answer->status = 0;
  answer->close_after = answer->until_close = false;
  answer->left = 0;
}

static long least(long a, long b) { return a < b ? a : b; }

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 32;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void understand_head(Answer *answer) {
  const char *head = answer->head, *length = strcasestr(head, "\r\ncontent-length:");
  answer->status = (int)strtol(head + 9, NULL, 10);
  answer->close_after = strcasestr(head, "\r\nconnection: close") != NULL;
  if (strcasestr(head, "\r\ntransfer-encoding: chunked")) {
    answer->state = CHUNK_SIZE;
  } else if (length) {
    answer->left = strtol(length + 17, NULL, 10);
    answer->state = BODY;
  } else {
    answer->until_close = true;
    answer->state = UNTIL_CLOSE;
  }
}

// How many of the bytes belonged to the head; -1 when it is no head or too long.
static long take_head(Answer *answer, const char *bytes, long n) {
  int before = answer->head_len;
  long k = least(n, MAX_HEAD - 1 - before);
  memcpy(answer->head + before, bytes, (size_t)k);
  answer->head[before + k] = 0;
  char *end = strstr(answer->head + (before > 3 ? before - 3 : 0), "\r\n\r\n");
  answer->head_len = end ? (int)(end + 4 - answer->head) : before + (int)k;
  if (!end) return answer->head_len == MAX_HEAD - 1 ? -1 : k;
  answer->head[answer->head_len] = 0;
  if (strncmp(answer->head, "HTTP/1.", 7)) return -1;
  understand_head(answer);
  return answer->head_len - before;
}

// One byte of what surrounds the chunks; 1: that was the last of the answer.
static int chunk_frame(Answer *answer, char c) {
  if (answer->state == CHUNK_SIZE) {
    if (c == '\n') {
      answer->state = answer->left ? CHUNK_DATA : TRAILER;
      answer->head_len = 0;  // from here: the length of the trailer line
    } else if (hex(c) >= 0) {
      answer->left = answer->left * 16 + hex(c);
    }
  } else if (answer->state == CHUNK_END) {
    if (c == '\n') answer->state = CHUNK_SIZE;
  } else if (c == '\n') {
    if (answer->head_len == 0) return 1;
    answer->head_len = 0;
  } else if (c != '\r') {
    answer->head_len++;
  }
  return 0;
}

int answer_feed(Answer *answer, const char *bytes, long n, BodySink *sink, void *context) {
  const char *end = bytes + n;
  while (bytes < end) {
    if (answer->state == HEAD) {
      long k = take_head(answer, bytes, end - bytes);
      if (k < 0) return -1;
      bytes += k;
      if (answer->state == BODY && answer->left == 0) return 1;
    } else if (answer->state == UNTIL_CLOSE) {
      sink(context, bytes, end - bytes);
      return 0;
    } else if (answer->state == BODY || answer->state == CHUNK_DATA) {
      long k = least(end - bytes, answer->left);
      sink(context, bytes, k);
      bytes += k;
      answer->left -= k;
      if (answer->left == 0 && answer->state == BODY) return 1;
      if (answer->left == 0) answer->state = CHUNK_END;
    } else if (chunk_frame(answer, *bytes++)) {
      return 1;
    }
  }
  return 0;
}
