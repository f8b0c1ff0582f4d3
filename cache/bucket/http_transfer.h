/* Between http.c (the thread) and http_transfer.c (one exchange as curl sees it); for no one else. */
#ifndef TOOTFS_HTTP_TRANSFER_H
#define TOOTFS_HTTP_TRANSFER_H

#include <curl/curl.h>
#include "cache/base/list.h"
#include "cache/base/lock.h"
#include "http.h"

/* Lives on its caller's stack. */
struct transfer {
	struct list link;
	struct exchange *x;
	CURL *easy;
	struct curl_slist *headers;
	uint64_t sent;
	size_t reply_bytes;
	int64_t moved_ms; /* the last byte in either direction */
	bool head_done;   /* the final status and its headers are in */
	bool enough;      /* of an error body: the answer counts as complete */
	int error;        /* ours, more telling than curl's */
	int result;
	bool done; /* guarded by the lock of struct http */
	struct wakeup wakeup;
};

/* What all requests of one struct http have in common. */
struct transfer_config {
	char *user_agent, *ca_file; /* ca_file NULL = the system's */
};

int transfer_init(const struct transfer_config *config, struct exchange *x, struct transfer *t) MUST_CHECK;
void transfer_destroy(struct transfer *t);
/* Notes an error of ours, which counts more than curl's, and its words; returns it. */
int transfer_fail(struct transfer *t, int error, const char *text);
int transfer_result(struct transfer *t, CURLcode code);

#endif
