/* An array that is looked through: it is small, and only failures and those who ask come here; how many there are is
 * read without the lock, since failures_forget is called for everything that goes well. */
#include "failures.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/lock.h"

struct failures {
	atomic_uint count;
	struct lock lock;
	struct {
		struct {
			char key[KEY_BYTES_MAX + 1]; /* "" = free */
			struct failure failure;
		} places[FAILURES_MAX];
	} locked;
};

int failures_open(struct failures **out)
{
	struct failures *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	lock_init(&f->lock);
	*out = f;
	return 0;
}

void failures_close(struct failures **failures)
{
	struct failures *f = *failures;

	*failures = NULL;
	if (!f)
		return;
	lock_destroy(&f->lock);
	free(f);
}

/* -1: not there. */
static int find_locked(const struct failures *f, const char *key) REQUIRES(&f->lock);
static int find_locked(const struct failures *f, const char *key)
{
	for (int i = 0; i < FAILURES_MAX; i++)
		if (strcmp(f->locked.places[i].key, key) == 0)
			return i;
	return -1;
}

/* A free place is older than any. */
static int oldest_locked(const struct failures *f) REQUIRES(&f->lock);
static int oldest_locked(const struct failures *f)
{
	int oldest = 0;

	for (int i = 1; i < FAILURES_MAX; i++)
		if (f->locked.places[i].failure.at_ns < f->locked.places[oldest].failure.at_ns)
			oldest = i;
	return oldest;
}

void failures_note(struct failures *f, const char *key, int error, const char *why)
{
	int i;

	if (!f || !*key)
		return;
	lock_take(&f->lock);
	i = find_locked(f, key);
	if (i < 0) {
		i = oldest_locked(f);
		if (!f->locked.places[i].key[0])
			atomic_fetch_add(&f->count, 1);
	}
	snprintf(f->locked.places[i].key, sizeof(f->locked.places[i].key), "%s", key);
	snprintf(f->locked.places[i].failure.why, FAILURE_WHY_BYTES, "%s", why);
	f->locked.places[i].failure.error = error;
	f->locked.places[i].failure.at_ns = clock_wall_ns();
	lock_drop(&f->lock);
}

void failures_forget(struct failures *f, const char *key)
{
	int i;

	if (!f || !*key || !atomic_load(&f->count))
		return;
	lock_take(&f->lock);
	i = find_locked(f, key);
	if (i >= 0) {
		memset(&f->locked.places[i], 0, sizeof(f->locked.places[i]));
		atomic_fetch_sub(&f->count, 1);
	}
	lock_drop(&f->lock);
}

bool failures_find(struct failures *f, const char *key, struct failure *out)
{
	int i;

	if (!f || !*key)
		return false;
	lock_take(&f->lock);
	i = find_locked(f, key);
	if (i >= 0)
		*out = f->locked.places[i].failure;
	lock_drop(&f->lock);
	return i >= 0;
}
