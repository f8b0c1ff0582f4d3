/* A lock that is misused (taken twice, dropped by another thread, destroyed while held) means that what it
 * guards can no longer be trusted, so the process ends before it writes any of it.
 *
 * The analysis is off inside: it checks the callers, and pthread's own functions carry no annotations. */
#include "lock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UNCHECKED TSA(no_thread_safety_analysis)

static void must(int err, const char *what)
{
	if (err == 0)
		return;
	fprintf(stderr, "tootfs: %s: %s\n", what, strerror(err));
	abort();
}

void lock_init(struct lock *l)
{
	pthread_mutexattr_t attr;

	must(pthread_mutexattr_init(&attr), "lock_init");
#ifdef NDEBUG
	must(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_NORMAL), "lock_init");
#else
	must(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK), "lock_init");
#endif
	must(pthread_mutex_init(&l->mutex, &attr), "lock_init");
	pthread_mutexattr_destroy(&attr);
}

void lock_destroy(struct lock *l)
{
	must(pthread_mutex_destroy(&l->mutex), "lock_destroy");
}

UNCHECKED void lock_take(struct lock *l)
{
	must(pthread_mutex_lock(&l->mutex), "lock_take");
}

UNCHECKED void lock_drop(struct lock *l)
{
	must(pthread_mutex_unlock(&l->mutex), "lock_drop");
}

void wakeup_init(struct wakeup *w)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr), "wakeup_init");
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), "wakeup_init");
	must(pthread_cond_init(&w->cond, &attr), "wakeup_init");
	pthread_condattr_destroy(&attr);
}

void wakeup_destroy(struct wakeup *w)
{
	must(pthread_cond_destroy(&w->cond), "wakeup_destroy");
}

void wakeup_one(struct wakeup *w)
{
	must(pthread_cond_signal(&w->cond), "wakeup_one");
}

void wakeup_all(struct wakeup *w)
{
	must(pthread_cond_broadcast(&w->cond), "wakeup_all");
}

void wakeup_wait(struct wakeup *w, struct lock *l)
{
	must(pthread_cond_wait(&w->cond, &l->mutex), "wakeup_wait");
}

bool wakeup_wait_until(struct wakeup *w, struct lock *l, int64_t deadline_ms)
{
	if (deadline_ms < 0)
		deadline_ms = 0;
	struct timespec until = {
		.tv_sec = (time_t)(deadline_ms / 1000),
		.tv_nsec = (long)(deadline_ms % 1000) * 1000000,
	};
	int err = pthread_cond_timedwait(&w->cond, &l->mutex, &until);
	if (err == ETIMEDOUT)
		return false;
	must(err, "wakeup_wait_until");
	return true;
}

int thread_start(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;

	/* A new thread inherits the mask: blocked before it exists, no signal can land on it. */
	sigfillset(&all);
	must(pthread_sigmask(SIG_SETMASK, &all, &before), "thread_start");
	int err = pthread_create(out, NULL, run, arg);
	must(pthread_sigmask(SIG_SETMASK, &before, NULL), "thread_start");
	if (err)
		return -err;

	char short_name[16];
	snprintf(short_name, sizeof(short_name), "%s", name);
	pthread_setname_np(*out, short_name); /* only for ps and gdb: it may fail */
	return 0;
}
