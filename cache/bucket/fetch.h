/* A small request to a service that hands out credentials: blocking, bounded in time and size.
 *
 * Not the network thread's business (http.h): there is one such request in an hour, it must not
 * wait in a queue behind uploads, and it is made before that thread is there. */
#ifndef TOOTFS_FETCH_H
#define TOOTFS_FETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "cache/base/err.h"

struct fetch {
	const char *method, *url;
	const char *const *headers;	    /* "name: value", ends with NULL; or NULL */
	const char *body;		    /* sent as a form; or NULL */
	bool direct;			    /* through no proxy: the service is this host's own */
	int connect_timeout_ms, timeout_ms; /* of one attempt */
	unsigned attempts;		    /* where nothing answers, or 429, or 5xx */
	const atomic_bool *stop;

	int status;
	char *answer; /* NUL-terminated; wiped by fetch_destroy */
	size_t length;
	char why[256];
};

/* 0 = there is an answer, of any status; no redirect is followed. -EHOSTDOWN none, -EPROTO one that
 * is too large or no HTTP, -ECANCELED, -ENOMEM; why has the words. */
int fetch_run(struct fetch *f) MUST_CHECK;
/* The request can be filled in again. */
void fetch_destroy(struct fetch *f);

#endif
