/* A mutex whose owner can be asserted, and a condition on the monotonic clock.
 *
 * The annotations are clang's thread-safety attributes (nothing with gcc). Locks are taken and
 * dropped in explicit pairs; a function named …_locked wants its lock held (REQUIRES). */
#ifndef TOOTFS_LOCK_H
#define TOOTFS_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __clang__
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif
#define REQUIRES(l) TSA(requires_capability(l))
#define EXCLUDES(l) TSA(locks_excluded(l))
/* For functions that lock conditionally, which the analysis cannot follow. */
#define LOCKS_UNCHECKED TSA(no_thread_safety_analysis)

struct TSA(capability("mutex")) lock {
	pthread_mutex_t mutex;
};

struct wakeup {
	pthread_cond_t cond;
};

/* An error-checking mutex in debug builds (no NDEBUG), a plain one otherwise; any misuse aborts. */
void lock_init(struct lock *l);
void lock_destroy(struct lock *l);
void lock_take(struct lock *l) TSA(acquire_capability(l));
void lock_drop(struct lock *l) TSA(release_capability(l));

void wakeup_init(struct wakeup *w);
void wakeup_destroy(struct wakeup *w);
void wakeup_one(struct wakeup *w);
void wakeup_all(struct wakeup *w);
void wakeup_wait(struct wakeup *w, struct lock *l) REQUIRES(l);
/* Waits until woken or until clock_ms() reaches deadline_ms; false = the deadline passed. */
bool wakeup_wait_until(struct wakeup *w, struct lock *l, int64_t deadline_ms) REQUIRES(l);

/* A thread with a name (15 bytes at most) and all signals blocked. 0 or -errno. */
int thread_start(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg);

#endif
