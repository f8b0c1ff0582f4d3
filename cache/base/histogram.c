/* Bounds from what a cached read takes to what a slow upload takes, so that one set does for both. A read is no snapshot:
 * counts may be off by those that are being added. */
#include "histogram.h"

#include <string.h>

const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    10,	   25,	  50,	 100,	 250,	  500,	   1000,    2500,
    10000, 25000, 50000, 100000, 250000, 1000000, 5000000, 30000000,
};

static unsigned stripe_of_thread(void)
{
	static atomic_uint threads;
	static _Thread_local unsigned mine;

	if (!mine)
		mine = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % HISTOGRAM_STRIPES;
	return mine - 1;
}

void histogram_add(struct histogram *h, int64_t us)
{
	unsigned stripe = stripe_of_thread(), i = 0;

	if (us < 0)
		us = 0;
	while (i < HISTOGRAM_BOUNDS && us > histogram_bounds_us[i])
		i++;
	atomic_fetch_add_explicit(&h->stripes[stripe].counts[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->stripes[stripe].sum_us, (uint64_t)us, memory_order_relaxed);
}

void histogram_read(const struct histogram *h, struct histogram_sums *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned s = 0; s < HISTOGRAM_STRIPES; s++) {
		for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
			out->counts[i] += atomic_load_explicit(&h->stripes[s].counts[i], memory_order_relaxed);
		out->sum_us += atomic_load_explicit(&h->stripes[s].sum_us, memory_order_relaxed);
	}
	for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
		out->count += out->counts[i];
}
