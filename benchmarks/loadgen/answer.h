// Reads one HTTP/1.1 answer from bytes as they come: content-length, chunked, or until the server closes.
#pragma once
#include <stdbool.h>

enum { MAX_HEAD = 8192 };

typedef struct {
  int state, head_len, status;
  bool close_after, until_close;
  long left;  // bytes of the body or of the chunk that are still to come
  char head[MAX_HEAD];
} Answer;

typedef void BodySink(void *context, const char *bytes, long n);

void answer_begin(Answer *answer);

// 1: the answer is complete; 0: more bytes are wanted; -1: this is no HTTP answer.
int answer_feed(Answer *answer, const char *bytes, long n, BodySink *sink, void *context);
