#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

void samples_add(Samples *samples, float value) {
  if (samples->n == samples->room) {
    samples->room = samples->room ? samples->room * 2 : 4096;
    samples->values = realloc(samples->values, samples->room * sizeof(float));
    if (!samples->values) abort();
  }
  samples->values[samples->n++] = value;
}

static int ascending(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

static double percentile(const Samples *sorted, double p) {
  return sorted->n ? sorted->values[(size_t)(p * (double)(sorted->n - 1))] : 0;
}

void samples_print(Samples *samples, const char *name) {
  if (samples->n) qsort(samples->values, samples->n, sizeof(float), ascending);
  printf("\"%s\": {\"n\": %zu, \"p50\": %.0f, \"p90\": %.0f, \"p99\": %.0f, \"max\": %.0f}", name, samples->n,
         percentile(samples, .5), percentile(samples, .9), percentile(samples, .99), percentile(samples, 1));
}
