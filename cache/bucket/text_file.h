/* A small text file read whole, for the files that a user wrote: credentials, rules, mime.types.
 *
 * Regular files of TEXT_FILE_BYTES_MAX at most, without NUL bytes. The fault names the path and the
 * way out. */
#ifndef TOOTFS_TEXT_FILE_H
#define TOOTFS_TEXT_FILE_H

#include <stddef.h>
#include "cache/base/err.h"

enum { TEXT_FILE_BYTES_MAX = 4 << 20 };

enum text_file_care {
	TEXT_FILE_OPEN,		 /* anybody may read it */
	TEXT_FILE_SECRET,	 /* mode without group and others; owned by us or by root */
	TEXT_FILE_SHARED_SECRET, /* the same, but root may be lent another user's: Mastodon's env
				    file */
};

struct text_file {
	char *text; /* NUL-terminated, the caller may cut it up; wiped by text_file_wipe */
	size_t length;
	unsigned mode; /* permission bits */
	unsigned owner; /* user id */
};

/* -ENOENT: there is none. -EACCES: not readable, or not careful enough. -EINVAL: not a text file.
 * -EIO, -ENOMEM. */
int text_file_read(const char *path, enum text_file_care care, struct text_file *out) MUST_CHECK;
/* Overwrites and frees. */
void text_file_wipe(struct text_file *f);

#endif
