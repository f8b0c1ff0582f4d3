/* A walk over a small XML document, element by element. Pure, on expat. Input is hostile. */
#ifndef TOOTFS_XML_WALK_H
#define TOOTFS_XML_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include "cache/base/buf.h"

enum { XML_DEPTH_MAX = 12, XML_PATH_BYTES_MAX = 256, XML_NAME_BYTES_MAX = 64 };

/* Set end and arg, the rest to zero. */
struct xml_walk {
	/* An element ended. path is its names below the root, joined with '/' and without namespaces, "" for the
	 * root itself; text is what stands between its tags. A non-zero return ends the walk with that error. */
	int (*end)(void *arg, const char *path, const struct buf *text);
	void *arg;
	char root[XML_NAME_BYTES_MAX]; /* the root's name, once it has begun */

	void *parser; /* from here on the walk's own */
	int depth;    /* 1 = the root is open */
	size_t lengths[XML_DEPTH_MAX]; /* of path, before each open element */
	size_t path_length;
	char path[XML_PATH_BYTES_MAX];
	struct buf text;
	bool marked;
	int error;
};

/* The root's name has to be root or, where that is NULL, may be any. 0, -EPROTO, -ENOMEM, or what end returned. */
int xml_walk(struct xml_walk *w, const char *xml, size_t length, const char *root) MUST_CHECK;

#endif
