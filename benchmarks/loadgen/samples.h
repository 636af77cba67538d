// A growing list of durations in microseconds, and its percentiles.
#pragma once
#include <stddef.h>

typedef struct {
  float *values;
  size_t n, room;
} Samples;

void samples_add(Samples *samples, float value);
void samples_print(Samples *samples, const char *name);  // "name": {"n", "p50", "p90", "p99", "max"}; sorts in place
