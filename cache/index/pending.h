/* pending: key → the state that the bucket is to have there. Not a log: one record a key.
 *
 * Keys of up to KEY_BYTES_MAX bytes. LMDB's own limit is 511 bytes: longer keys are stored as their first 495 bytes and
 * a 128-bit hash, the whole key in the record; two keys that collide: -EIO, logged. Keys come in byte order, but
 * those over 511 bytes stand anywhere among the keys that share their first 495 bytes, always at the same place:
 * a walk meets every key once.
 * uploads: blob id → a multipart upload under way, so that none is forgotten. */
#ifndef TOOTFS_PENDING_H
#define TOOTFS_PENDING_H

#include "index.h"
#include "cache/base/key.h"

enum pending_want { PENDING_PUT, PENDING_ABSENT };

struct pending_record {
	char key[KEY_BYTES_MAX + 1];
	enum pending_want want;
	uint64_t ino, version; /* PUT: this node at this version */
	uint64_t txn;          /* the transaction that wrote this record: pending_put sets it */
	uint64_t holds;        /* ino of a node whose content the bucket has at this key; 0 = none */
	bool fresh;            /* PUT: the bucket had no object at this key when the record was made */
	bool attrs_only;       /* PUT: only headers changed (attrs=object) */
	int64_t since_ns;      /* wall clock: when the wish arose */
	uint32_t attempts;     /* failures that concern this key alone */
	int64_t retry_ns;      /* wall clock: not before */
};

int pending_get(struct txn *txn, const char *key, struct pending_record *out) MUST_CHECK;
int pending_put(struct txn *txn, struct pending_record *record) MUST_CHECK;
int pending_delete(struct txn *txn, const char *key) MUST_CHECK; /* -ENOENT */
/* The first record after `after` (NULL or "" = from the start); -ENOENT at the end. */
int pending_next(struct txn *txn, const char *after, struct pending_record *out) MUST_CHECK;
int pending_count(struct txn *txn, uint64_t *out) MUST_CHECK;

enum { INDEX_UPLOAD_ID_BYTES = 1024 };
struct upload_record {
	uint64_t blob;
	char key[KEY_BYTES_MAX + 1];
	char id[INDEX_UPLOAD_ID_BYTES]; /* "" = being created, the id is not known yet */
	int64_t since_ns;
};
int uploads_put(struct txn *txn, const struct upload_record *record) MUST_CHECK;
int uploads_delete(struct txn *txn, uint64_t blob) MUST_CHECK; /* -ENOENT */
/* visit: 0 = go on, 1 = stop, -errno = fail; it may change uploads. */
typedef int upload_record_visit(void *arg, const struct upload_record *record);
int uploads_each(struct txn *txn, upload_record_visit *visit, void *arg) MUST_CHECK;

#endif
