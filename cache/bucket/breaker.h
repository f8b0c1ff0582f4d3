/* A circuit breaker: a dead endpoint costs one request at a time instead of everybody's patience.
 * Thread-safe; its lock is a leaf. Times are clock_ms(). */
#ifndef TOOTFS_BREAKER_H
#define TOOTFS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/lock.h"

enum { BREAKER_FAILURES = 5, BREAKER_PAUSE_MIN_MS = 1000, BREAKER_PAUSE_MAX_MS = 30000 };

struct breaker {
	int64_t span_ms; /* fixed at birth: how long a row of failures must last */
	struct lock lock;
	struct {
		unsigned failures;       /* in a row */
		int64_t first_failed_ms; /* of them */
		bool open, probing;
		int64_t pause_ms, probe_at_ms;
		char why[256]; /* of the failure that opened it */
	} locked;
};

enum breaker_pass {
	BREAKER_PASS,
	BREAKER_PROBE,  /* go on, alone; breaker_done must follow */
	BREAKER_REFUSE, /* fail at once; the fault is set */
};
enum breaker_news {
	BREAKER_ALIVE,   /* an answer, whatever it said */
	BREAKER_DEAD,    /* none, or one that says that the server cannot */
	BREAKER_NEUTRAL, /* says nothing of the server */
};

void breaker_init(struct breaker *b, int64_t span_ms);
void breaker_destroy(struct breaker *b);
enum breaker_pass breaker_enter(struct breaker *b, int64_t now_ms);
/* pass is what breaker_enter said; why is for the log and for those who are refused. */
void breaker_done(struct breaker *b, enum breaker_pass pass, enum breaker_news news, const char *why,
		  int64_t now_ms);
/* An answer has begun; the body may take its time. */
void breaker_alive(struct breaker *b);
bool breaker_is_open(struct breaker *b);

#endif
