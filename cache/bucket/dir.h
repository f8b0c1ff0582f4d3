/* A folder as a bucket, inside: for dir*.c only.
 *
 * Functions return 0 (or an fd) or a plain -errno of the system call; dir_fault() turns that into an
 * error of bucket.h, in words, at the end of an operation. */
#ifndef TOOTFS_DIR_H
#define TOOTFS_DIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include "cache/base/lock.h"
#include "ops.h"

#define DIR_TEMP ".tootfs-tmp"
enum { DIR_NAME_BYTES = 64 };

struct dir_bucket {
	/* fixed at birth */
	char *folder; /* absolute, for messages */
	int root;
	bool attrs_object;
	uint64_t salt; /* in temporary names: unlike that of any other process */

	atomic_bool stopped, no_openat2, no_copy_range;
	atomic_uint_fast64_t serial;
	atomic_int_fast64_t last_mtime_ns;

	struct lock lock;
	struct wakeup synced;
	struct {
		int temp; /* the folder DIR_TEMP, -1 until the first write */
		bool syncing;
		uint64_t started, finished, failed; /* rounds of syncfs */
	} locked;
};

/* -- dir_path.c: names below the folder, never through a symlink -- */

/* An fd, or -errno; -ELOOP, -EXDEV and -ENOTDIR mean a symlink or a file where a folder should be.
 * path "" is the folder itself. */
int dir_open_at(struct dir_bucket *d, const char *path, int flags) MUST_CHECK;
/* The folder for temporary files. The number stays valid until the bucket is closed. */
int dir_temp(struct dir_bucket *d, int *out) MUST_CHECK;
/* Another process has removed that folder when it was empty: a new one, under the same number. */
int dir_temp_renew(struct dir_bucket *d) MUST_CHECK;
/* A new file there, for writing. */
int dir_temp_create(struct dir_bucket *d, char name[DIR_NAME_BYTES], int *out) MUST_CHECK;
void dir_temp_unlink(struct dir_bucket *d, const char *name);
/* Moves a temporary file to its key, making folders. -EISDIR: the key is, or is below, another's. */
int dir_publish(struct dir_bucket *d, const char *name, const char *key) MUST_CHECK;
/* Removes the file of a key and the folders that are empty then. 0 also when there is none. */
int dir_unlink(struct dir_bucket *d, const char *key) MUST_CHECK;
/* Makes all that was done before the call durable. */
int dir_sync(struct dir_bucket *d) MUST_CHECK;

/* -- dir.c -- */

int dir_fault(struct dir_bucket *d, int error, const char *what, const char *key);

/* The folder itself was removed; the fault that says so. */
bool dir_is_gone(const struct dir_bucket *d);
int dir_gone(const struct dir_bucket *d);
int dir_head(void *self, const char *key, struct object *out);

/* -- dir_object.c -- */

/* Appends length bytes of from, at offset, to to. -ENODATA: from is shorter. */
int dir_copy_bytes(struct dir_bucket *d, int from, uint64_t offset, uint64_t length, int to) MUST_CHECK;
/* Stamps a finished temporary file with its attrs and a time of its own, and says what it is. */
int dir_seal(struct dir_bucket *d, int fd, const struct object_attrs *attrs, struct object *out) MUST_CHECK;
void dir_object(const struct stat *st, struct object *out);
/* Leaves *out alone where the file has none, or none that make sense. */
void dir_attrs_read(int fd, struct object_attrs *out);

int dir_list(void *self, const struct list_request *request, struct list_page *out); /* dir_list.c */

/* -- dir_upload.c -- */

int dir_upload_create(void *self, const char *key, const struct object_attrs *attrs,
		      char id[UPLOAD_ID_BYTES]);
int dir_upload_part(void *self, const struct part_request *request, struct part *out);
int dir_upload_complete(void *self, const char *key, const char *id, const struct part *parts,
			size_t count, struct object *out);
int dir_upload_abort(void *self, const char *key, const char *id);
int dir_upload_list(void *self, const char *key, upload_visit *visit, void *arg);
int dir_uploads_page(void *self, const struct upload_marks *marks, struct upload_marks *next, key_upload_visit *visit,
		     void *arg);

#endif
