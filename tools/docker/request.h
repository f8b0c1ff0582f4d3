/* What an engine asks of the plugin: the calls of the volume plugin protocol, version 1, and their bodies. Pure. */
#ifndef TOOTFS_DOCKER_REQUEST_H
#define TOOTFS_DOCKER_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

enum { REQUEST_BODY_MAX = 1 << 20, REQUEST_NAME_MAX = 255, REQUEST_ID_MAX = 1024, REQUEST_OPTIONS_MAX = 128 };

enum request_call {
	REQUEST_ACTIVATE,
	REQUEST_CAPABILITIES,
	REQUEST_CREATE,
	REQUEST_REMOVE,
	REQUEST_GET,
	REQUEST_LIST,
	REQUEST_PATH,
	REQUEST_MOUNT,
	REQUEST_UNMOUNT,
};

struct request {
	enum request_call call;
	const char *name, *id;	/* in body; NULL where the call has none. id: of Mount and Unmount */
	const json_t *options;	/* of Create: an object whose values are strings; NULL = none were given */
	json_t *body;
};

/* The call that a path names; false = there is none. */
bool request_find(const char *path, enum request_call *out);
/* 0; -ENOMEM; -EINVAL and why in plain words. To be destroyed in any case. */
int request_parse(struct request *r, enum request_call call, const char *bytes, size_t length,
		  struct buf *why) MUST_CHECK;
void request_destroy(struct request *r);
/* [A-Za-z0-9][A-Za-z0-9_.-]*, REQUEST_NAME_MAX bytes at most: it becomes the name of a file. */
bool request_name_good(const char *name);

#endif
