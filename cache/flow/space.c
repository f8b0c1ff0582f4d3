/* used counts what may be on disk: a blob's bytes are taken before they are written and come back after its
 * unlink.
 *
 * Those who wait for room stand in a line: only the first may take, or a stream of small
 * requests would starve a large one. One whose time is up takes what fits out of turn rather than fail with
 * room in sight. The time without progress begins again whenever bytes are freed. */
#include "evicts.h"

#include <assert.h>
#include <errno.h>
#include "cache/base/clock.h"

enum {
	LOOK_BYTES = 16 << 20, /* after so many the thread looks at the disk */
	LOOK_MS = 500,	       /* what others take of it is seen after that */
	LOOK_AGAIN_MS = 20,    /* while it is short of room */
	WAITERS_MAX = 40,      /* of the 64 threads that serve the kernel */
};

static void look_at_disk_locked(struct evicts *e) REQUIRES(&e->lock);
static void look_at_disk_locked(struct evicts *e)
{
	struct statvfs st;

	e->locked.disk_seen_ms = clock_ms();
	e->locked.disk_left = UINT64_MAX; /* where it does not say, the write will */
	if (blobs_statvfs(e->flow->blobs, &st))
		return;
	uint64_t here = (uint64_t)st.f_bavail * st.f_frsize;
	uint64_t margin = disk_margin((uint64_t)st.f_blocks * st.f_frsize);
	e->locked.disk_left = here > margin ? here - margin : 0;
}

/* The limit, and the disk: whichever is smaller. */
static bool fits_locked(struct evicts *e, uint64_t bytes) REQUIRES(&e->lock);
static bool fits_locked(struct evicts *e, uint64_t bytes)
{
	uint64_t limit = e->flow->config.cache_size_bytes;
	int64_t age_ms = clock_ms() - e->locked.disk_seen_ms;

	if (e->locked.used > limit || bytes > limit - e->locked.used)
		return false;
	if (age_ms >= LOOK_MS || (bytes > e->locked.disk_left && age_ms >= LOOK_AGAIN_MS))
		look_at_disk_locked(e);
	return bytes <= e->locked.disk_left;
}

static void take_locked(struct evicts *e, uint64_t bytes) REQUIRES(&e->lock);
static void take_locked(struct evicts *e, uint64_t bytes)
{
	e->locked.used += bytes;
	e->locked.unseen += bytes;
	e->locked.disk_left -= bytes < e->locked.disk_left ? bytes : e->locked.disk_left;
	if (e->locked.used > e->high || e->locked.unseen > LOOK_BYTES)
		evict_poke_locked(e);
}

bool space_try(struct evicts *e, uint64_t bytes)
{
	lock_take(&e->lock);
	bool taken = !e->locked.stopping && list_empty(&e->locked.line) && fits_locked(e, bytes);
	if (taken)
		take_locked(e, bytes);
	lock_drop(&e->lock);
	return taken;
}

static int64_t give_up_at_locked(const struct evicts *e, int64_t since_ms, int64_t deadline_ms)
{
	int64_t from_ms = since_ms > e->locked.progress_ms ? since_ms : e->locked.progress_ms;
	int64_t full_ms = from_ms + e->flow->config.full_timeout_ms;

	return full_ms < deadline_ms ? full_ms : deadline_ms;
}

bool space_is_late_locked(const struct evicts *e, const struct waiter *w)
{
	int64_t until_ms = give_up_at_locked(e, w->since_ms, w->deadline_ms);
	int64_t from_ms = w->since_ms > e->locked.progress_ms ? w->since_ms : e->locked.progress_ms;

	return clock_ms() - from_ms >= (until_ms - from_ms) / 2;
}

static int wait_for_room_locked(struct evicts *e, const struct waiter *w) REQUIRES(&e->lock);
static int wait_for_room_locked(struct evicts *e, const struct waiter *w)
{
	evict_poke_locked(e);
	for (;;) {
		int64_t until_ms = give_up_at_locked(e, w->since_ms, w->deadline_ms);
		bool late = clock_ms() >= until_ms, first = e->locked.line.next == &w->link;
		if (e->locked.stopping)
			return -ECANCELED;
		if ((first || late) && fits_locked(e, w->bytes)) {
			take_locked(e, w->bytes);
			return 0;
		}
		if (late)
			return -ENOSPC;
		wakeup_wait_until(&e->room, &e->lock, until_ms);
	}
}

int space_reserve(struct evicts *e, uint64_t bytes, int64_t deadline_ms)
{
	struct waiter w = {.bytes = bytes, .since_ms = clock_ms(), .deadline_ms = deadline_ms};

	if (bytes > e->flow->config.cache_size_bytes)
		return -ENOSPC;
	if (bytes == 0 || space_try(e, bytes))
		return 0;
	atomic_fetch_add(&e->flow->counts.waiters, 1);
	lock_take(&e->lock);
	list_append(&e->locked.line, &w.link);
	int err = wait_for_room_locked(e, &w);
	list_remove(&w.link);
	wakeup_all(&e->room); /* somebody else is first now */
	lock_drop(&e->lock);
	atomic_fetch_sub(&e->flow->counts.waiters, 1);
	return err;
}

int64_t space_patience_ms(const struct evicts *e)
{
	bool many = atomic_load(&e->flow->counts.waiters) >= WAITERS_MAX;

	return clock_ms() + (many ? 0 : 4 * e->flow->config.full_timeout_ms);
}

void space_release(struct evicts *e, uint64_t bytes)
{
	if (bytes == 0)
		return;
	lock_take(&e->lock);
	assert(bytes <= e->locked.used);
	e->locked.used -= bytes;
	e->locked.progress_ms = clock_ms();
	wakeup_all(&e->room);
	lock_drop(&e->lock);
}

void space_disk_full(struct evicts *e)
{
	lock_take(&e->lock);
	e->locked.disk_full = true;
	evict_poke_locked(e);
	lock_drop(&e->lock);
}
