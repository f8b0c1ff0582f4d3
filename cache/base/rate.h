/* Bytes a second over the last RATE_SPAN_S whole seconds. Thread-safe; its lock is a leaf. Times are clock_ms(). */
#ifndef TOOTFS_RATE_H
#define TOOTFS_RATE_H

#include <stdint.h>
#include "lock.h"

enum { RATE_SPAN_S = 10 };

struct rate {
	struct lock lock;
	struct {
		struct {
			int64_t second;
			uint64_t bytes;
		} places[RATE_SPAN_S + 1]; /* by second, going round */
	} locked;
};

void rate_init(struct rate *r);
void rate_destroy(struct rate *r);
void rate_add(struct rate *r, uint64_t bytes, int64_t now_ms);
/* What came in the whole seconds before this one, divided by their number. */
uint64_t rate_read(struct rate *r, int64_t now_ms);

#endif
