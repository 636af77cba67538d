// The one clock of both programs: a token carries its time of birth, so they must agree.
#pragma once
#include <time.h>

static inline long now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}
