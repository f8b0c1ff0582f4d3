/* The bucket of the test: objects in memory behind the real door. A request takes effect at one instant between
 * its beginning and its answer; all three are in the log while one is recorded. Thread-safe. */
#ifndef TOOTFS_CRASH_FAR_H
#define TOOTFS_CRASH_FAR_H

#include "objects.h"

/* The bucket that bucket_open() gives; one at a time. */
extern struct far {
	struct objects objects;
	unsigned nap_us;  /* before and after the effect */
	unsigned lose;    /* of 1,000 answers so many are lost */
	uint64_t random;
	unsigned serial;
	bool stopped;
	unsigned requests[16];
} far;

/* Puts an object there before anybody looks. */
void far_put(const char *key, const void *bytes, size_t length);
int far_open(const struct bucket_config *config, struct bucket **out) MUST_CHECK;

#endif
