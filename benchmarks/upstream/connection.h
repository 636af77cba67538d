// One client of the scripted upstream: what it sent so far, what its socket did not take yet, the stream it reads.
#pragma once
#include <stdbool.h>

enum { MAX_REQUEST = 1 << 21, MAX_MODEL = 96 };

typedef struct {
  int fd, in_len;
  char in[MAX_REQUEST + 1];
  char *out;
  int out_len, out_sent, out_room;
  // The stream that is being written; streaming says whether there is one.
  bool streaming, with_usage;
  int sent, total;
  long delay_us, due_us, born_us;  // born_us: of its last token
  char model[MAX_MODEL];
} Conn;

extern int poller;  // the epoll descriptor, data.ptr is the Conn

bool conn_put(Conn *c, const char *bytes, int n);  // false: the client is gone
bool conn_flush(Conn *c);                          // write what waited; false: the client is gone
bool conn_blocked(const Conn *c);                  // the socket has not taken everything yet
