/* A place for each second, used again when its second is over. The running second is left out: it is not whole. */
#include "rate.h"

#include <string.h>

enum { PLACES = RATE_SPAN_S + 1 };

void rate_init(struct rate *r)
{
	memset(&r->locked, 0, sizeof(r->locked));
	lock_init(&r->lock);
}

void rate_destroy(struct rate *r)
{
	lock_destroy(&r->lock);
}

void rate_add(struct rate *r, uint64_t bytes, int64_t now_ms)
{
	int64_t second = now_ms / 1000;
	int place = (int)(second % PLACES);

	lock_take(&r->lock);
	if (r->locked.places[place].second != second) {
		r->locked.places[place].second = second;
		r->locked.places[place].bytes = 0;
	}
	r->locked.places[place].bytes += bytes;
	lock_drop(&r->lock);
}

uint64_t rate_read(struct rate *r, int64_t now_ms)
{
	int64_t second = now_ms / 1000;
	uint64_t bytes = 0;

	lock_take(&r->lock);
	for (int i = 0; i < PLACES; i++)
		if (r->locked.places[i].second < second && r->locked.places[i].second >= second - RATE_SPAN_S)
			bytes += r->locked.places[i].bytes;
	lock_drop(&r->lock);
	return bytes / RATE_SPAN_S;
}
