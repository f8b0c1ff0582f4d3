/* How long something took, counted by size: for who watches. Thread-safe. */
#ifndef TOOTFS_HISTOGRAM_H
#define TOOTFS_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 16, HISTOGRAM_STRIPES = 4 };

/* Upper bounds of the buckets, in microseconds; one more bucket has all that is longer. */
extern const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS];

/* All zero at birth. Threads are spread over the stripes, so that they do not take a line of the processor's cache away
 * from each other; no locks. */
struct histogram {
	struct {
		atomic_uint_fast64_t counts[HISTOGRAM_BOUNDS + 1];
		atomic_uint_fast64_t sum_us;
	} stripes[HISTOGRAM_STRIPES];
};

struct histogram_sums {
	uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* each bucket alone */
	uint64_t count, sum_us;
};

void histogram_add(struct histogram *h, int64_t us);
void histogram_read(const struct histogram *h, struct histogram_sums *out);

#endif
