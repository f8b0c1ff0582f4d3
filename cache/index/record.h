/* Every stored layout of the index: encode, decode, and what a valid record is. Pure.
 *
 * encode wants a valid record and returns the bytes written; decode takes any bytes and returns 0
 * or -EUCLEAN; what it accepts is valid. Nothing points into the input afterwards but where a
 * comment says so. */
#ifndef TOOTFS_RECORD_H
#define TOOTFS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/err.h"
#include "names.h"
#include "nodes.h"
#include "pending.h"

enum {
	RECORD_KEY_BYTES_MAX = 511, /* LMDB's limit */
	RECORD_NODE_BYTES_MAX = 2688,
	RECORD_NAME_KEY_BYTES_MAX = 8 + NAME_BYTES_MAX + 1,
	RECORD_NAME_BYTES_MAX = 20,
	RECORD_PENDING_BYTES_MAX = 1152,
	RECORD_UPLOAD_BYTES_MAX = 2112,
	RECORD_COUNTERS_BYTES = 64,
};

/* FNV-1a with 128 bits, big-endian: tells rot and long keys apart, nothing against an attacker. */
enum { DIGEST_BYTES = 16 };
void record_digest(uint8_t out[DIGEST_BYTES], const void *bytes, size_t length);
/* Of two pieces as if they were one. */
void record_digest_two(uint8_t out[DIGEST_BYTES], const void *first, size_t first_bytes, const void *second,
		       size_t second_bytes);

/* -- nodes: ino → node -- */
bool record_node_valid(const struct node_record *record);
size_t record_node_encode(uint8_t out[RECORD_NODE_BYTES_MAX], const struct node_record *record);
int record_node_decode(struct node_record *out, uint64_t ino, const void *bytes,
		       size_t length) MUST_CHECK;

/* The head of a node record, read alone where a walk or a sum needs no more. */
struct record_node_head {
	uint32_t type; /* S_IFDIR, S_IFREG or S_IFLNK */
	uint64_t size, parent;
	const char *name; /* in the input, without a NUL */
	size_t name_bytes;
};
int record_node_head(struct record_node_head *out, uint64_t ino, const void *bytes,
		     size_t length) MUST_CHECK;

/* -- names: parent (big-endian), name, '/' for a folder → ino, cookie -- */
size_t record_name_key(uint8_t out[RECORD_NAME_KEY_BYTES_MAX], uint64_t parent, const char *name,
		       size_t name_bytes, bool folder);
int record_name_key_decode(struct name *out, const void *key, size_t length) MUST_CHECK;
size_t record_name_encode(uint8_t out[RECORD_NAME_BYTES_MAX], uint64_t ino, uint64_t cookie);
int record_name_decode(struct name *out, const void *bytes, size_t length) MUST_CHECK;

/* -- pending: key → wish. Keys over 511 bytes are stored as their first 495 and a digest of all --
 */
size_t record_pending_key(uint8_t out[RECORD_KEY_BYTES_MAX], const char *key);
bool record_pending_valid(const struct pending_record *record);
size_t record_pending_encode(uint8_t out[RECORD_PENDING_BYTES_MAX],
			     const struct pending_record *record);
/* stored is the stored form of the key. */
int record_pending_decode(struct pending_record *out, const void *stored, size_t stored_bytes,
			  const void *bytes, size_t length) MUST_CHECK;

/* -- uploads: blob → multipart upload -- */
bool record_upload_valid(const struct upload_record *record);
size_t record_upload_encode(uint8_t out[RECORD_UPLOAD_BYTES_MAX],
			    const struct upload_record *record);
int record_upload_decode(struct upload_record *out, uint64_t blob, const void *bytes,
			 size_t length) MUST_CHECK;

/* -- counters: one record of fixed size -- */
struct counters {
	uint64_t next_ino, next_blob;
	uint64_t files, folders, symlinks, bytes; /* sums over nodes */
	uint64_t pending;			  /* records */
	uint64_t held;				  /* sum of bytes over ages */
};
void record_counters_encode(uint8_t out[RECORD_COUNTERS_BYTES], const struct counters *counters);
int record_counters_decode(struct counters *out, const void *bytes, size_t length) MUST_CHECK;

/* -- one number -- */
size_t record_number_encode(uint8_t out[10], uint64_t number);
int record_number_decode(uint64_t *out, const void *bytes, size_t length) MUST_CHECK;
void record_be64(uint8_t out[8], uint64_t number);
uint64_t record_be64_decode(const uint8_t in[8]);

#endif
