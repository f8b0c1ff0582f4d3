/* The stored layouts but the node's (record_node.c):
 *
 *     names     key: parent as 8 big-endian bytes, name, '/' for a folder
 *               value: ino, [cookie, where it is not the ino]
 *     pending   key: the object key, or its first 495 bytes and a digest where it is over 511 bytes
 *               value: flags (put, fresh, attrs only, holds, failed, long key), txn, since (8
 * bytes), [ino, version], [holds], [attempts, retry as a difference from since], [the whole key]
 *     uploads   key: blob; value: since (8 bytes), key, upload id
 *     counters  eight numbers of 8 bytes
 *
 * Byte order of the stored names is the order in which S3 lists keys: that of the bytes of the
 * whole key, in which a folder's name is followed by '/'. */
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "pack.h"

enum {
	LONG_PREFIX_BYTES = RECORD_KEY_BYTES_MAX - DIGEST_BYTES,
};
enum {
	IS_PUT = 1 << 0,
	IS_FRESH = 1 << 1,
	IS_ATTRS_ONLY = 1 << 2,
	HAS_HOLDS = 1 << 3,
	HAS_FAILED = 1 << 4,
	HAS_LONG_KEY = 1 << 5,
	FLAGS_MASK = (1 << 6) - 1,
};

__extension__ typedef unsigned __int128 wide;

static wide digest_more(wide hash, const uint8_t *at, size_t length)
{
	wide prime = (wide)1 << 88 | 0x13b;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ at[i]) * prime;
	return hash;
}

void record_digest_two(uint8_t out[DIGEST_BYTES], const void *first, size_t first_bytes, const void *second,
		       size_t second_bytes)
{
	wide hash = (wide)0x6c62272e07bb0142u << 64 | 0x62b821756295c58du;
	hash = digest_more(hash, first, first_bytes);
	hash = digest_more(hash, second, second_bytes);
	for (int i = DIGEST_BYTES - 1; i >= 0; i--, hash >>= 8)
		out[i] = (uint8_t)hash;
}

void record_digest(uint8_t out[DIGEST_BYTES], const void *bytes, size_t length)
{
	record_digest_two(out, bytes, length, NULL, 0);
}

void record_be64(uint8_t out[8], uint64_t number)
{
	for (int i = 7; i >= 0; i--, number >>= 8)
		out[i] = (uint8_t)number;
}

uint64_t record_be64_decode(const uint8_t in[8])
{
	uint64_t number = 0;
	for (int i = 0; i < 8; i++)
		number = number << 8 | in[i];
	return number;
}

size_t record_number_encode(uint8_t out[10], uint64_t number)
{
	struct pack p = {out, out + VARINT_BYTES_MAX, false};
	pack_varint(&p, number);
	return (size_t)(p.at - out);
}

int record_number_decode(uint64_t *out, const void *bytes, size_t length)
{
	struct unpack u = {bytes, (const uint8_t *)bytes + length, false};
	*out = unpack_varint(&u);
	return unpack_done(&u) ? 0 : -EUCLEAN;
}

/* -- names -- */

size_t record_name_key(uint8_t out[RECORD_NAME_KEY_BYTES_MAX], uint64_t parent, const char *name,
		       size_t name_bytes, bool folder)
{
	assert(name_bytes <= NAME_BYTES_MAX);
	record_be64(out, parent);
	memcpy(out + 8, name, name_bytes);
	out[8 + name_bytes] = '/';
	return 8 + name_bytes + (folder ? 1 : 0);
}

int record_name_key_decode(struct name *out, const void *key, size_t length)
{
	const char *text = (const char *)key + 8;
	if (length < 9 || length > RECORD_NAME_KEY_BYTES_MAX)
		return -EUCLEAN;
	size_t name_bytes = length - 8;
	out->folder = text[name_bytes - 1] == '/';
	if (out->folder)
		name_bytes--;
	if (name_check(text, name_bytes) != 0)
		return -EUCLEAN;
	memcpy(out->text, text, name_bytes);
	out->text[name_bytes] = '\0';
	return 0;
}

size_t record_name_encode(uint8_t out[RECORD_NAME_BYTES_MAX], uint64_t ino, uint64_t cookie)
{
	struct pack p = {out, out + RECORD_NAME_BYTES_MAX, false};
	pack_varint(&p, ino);
	if (cookie != ino)
		pack_varint(&p, cookie);
	assert(!p.bad);
	return (size_t)(p.at - out);
}

int record_name_decode(struct name *out, const void *bytes, size_t length)
{
	struct unpack u = {bytes, (const uint8_t *)bytes + length, false};
	out->ino = unpack_varint(&u);
	out->cookie = u.at < u.end ? unpack_varint(&u) : out->ino;
	return unpack_done(&u) && out->ino != 0 && out->cookie != 0 ? 0 : -EUCLEAN;
}

/* -- pending -- */

static size_t stored_key(uint8_t out[RECORD_KEY_BYTES_MAX], const char *key, size_t length)
{
	if (length <= RECORD_KEY_BYTES_MAX) {
		memcpy(out, key, length);
		return length;
	}
	memcpy(out, key, LONG_PREFIX_BYTES);
	record_digest(out + LONG_PREFIX_BYTES, key, length);
	return RECORD_KEY_BYTES_MAX;
}

size_t record_pending_key(uint8_t out[RECORD_KEY_BYTES_MAX], const char *key)
{
	size_t length = strnlen(key, KEY_BYTES_MAX + 1);
	assert(length > 0 && length <= KEY_BYTES_MAX);
	return stored_key(out, key, length);
}

static bool key_valid(const char key[KEY_BYTES_MAX + 1])
{
	return key[0] != '\0' && memchr(key, 0, KEY_BYTES_MAX + 1) != NULL;
}

bool record_pending_valid(const struct pending_record *r)
{
	if (!key_valid(r->key))
		return false;
	if (r->want == PENDING_PUT)
		return r->ino != 0;
	return r->want == PENDING_ABSENT && r->ino == 0 && r->version == 0 && !r->fresh &&
	       !r->attrs_only;
}

size_t record_pending_encode(uint8_t out[RECORD_PENDING_BYTES_MAX], const struct pending_record *r)
{
	struct pack p = {out, out + RECORD_PENDING_BYTES_MAX, false};
	size_t key_bytes = strlen(r->key);
	bool failed = r->attempts != 0 || r->retry_ns != 0;
	bool is_long = key_bytes > RECORD_KEY_BYTES_MAX;

	pack_u8(&p, (uint8_t)((r->want == PENDING_PUT ? IS_PUT : 0) | (r->fresh ? IS_FRESH : 0) |
			      (r->attrs_only ? IS_ATTRS_ONLY : 0) | (r->holds ? HAS_HOLDS : 0) |
			      (failed ? HAS_FAILED : 0) | (is_long ? HAS_LONG_KEY : 0)));
	pack_varint(&p, r->txn);
	pack_fixed(&p, (uint64_t)r->since_ns, 8);
	if (r->want == PENDING_PUT) {
		pack_varint(&p, r->ino);
		pack_varint(&p, r->version);
	}
	if (r->holds)
		pack_varint(&p, r->holds);
	if (failed) {
		pack_varint(&p, r->attempts);
		pack_signed(&p, (int64_t)((uint64_t)r->retry_ns - (uint64_t)r->since_ns));
	}
	if (is_long)
		pack_text(&p, r->key, key_bytes);
	assert(!p.bad);
	return (size_t)(p.at - out);
}

/* The key from the record (long) or from its stored form, which must belong together. */
static bool unpack_key(struct unpack *u, bool is_long, const void *stored, size_t stored_bytes,
		       char out[KEY_BYTES_MAX + 1])
{
	uint8_t again[RECORD_KEY_BYTES_MAX];
	if (!is_long) {
		if (stored_bytes == 0 || stored_bytes > RECORD_KEY_BYTES_MAX ||
		    memchr(stored, 0, stored_bytes))
			return false;
		memcpy(out, stored, stored_bytes);
		out[stored_bytes] = '\0';
		return true;
	}
	size_t length = unpack_text(u, out, KEY_BYTES_MAX + 1);
	return !u->bad && length > RECORD_KEY_BYTES_MAX &&
	       stored_key(again, out, length) == stored_bytes &&
	       memcmp(again, stored, stored_bytes) == 0;
}

int record_pending_decode(struct pending_record *out, const void *stored, size_t stored_bytes,
			  const void *bytes, size_t length)
{
	struct unpack u = {bytes, (const uint8_t *)bytes + length, false};
	uint8_t flags = unpack_u8(&u);

	memset(out, 0, sizeof(*out));
	if (u.bad || (flags & ~FLAGS_MASK) != 0)
		return -EUCLEAN;
	out->want = flags & IS_PUT ? PENDING_PUT : PENDING_ABSENT;
	out->fresh = (flags & IS_FRESH) != 0;
	out->attrs_only = (flags & IS_ATTRS_ONLY) != 0;
	out->txn = unpack_varint(&u);
	out->since_ns = (int64_t)unpack_fixed(&u, 8);
	if (out->want == PENDING_PUT) {
		out->ino = unpack_varint(&u);
		out->version = unpack_varint(&u);
	}
	if (flags & HAS_HOLDS)
		out->holds = unpack_varint(&u);
	if (flags & HAS_FAILED) {
		uint64_t attempts = unpack_varint(&u);
		if (attempts > UINT32_MAX)
			return -EUCLEAN;
		out->attempts = (uint32_t)attempts;
		out->retry_ns = (int64_t)((uint64_t)out->since_ns + (uint64_t)unpack_signed(&u));
	}
	if (!unpack_key(&u, (flags & HAS_LONG_KEY) != 0, stored, stored_bytes, out->key))
		return -EUCLEAN;
	return unpack_done(&u) && record_pending_valid(out) ? 0 : -EUCLEAN;
}

/* -- uploads -- */

bool record_upload_valid(const struct upload_record *r)
{
	return r->blob != 0 && key_valid(r->key) && memchr(r->id, 0, sizeof(r->id)) != NULL;
}

size_t record_upload_encode(uint8_t out[RECORD_UPLOAD_BYTES_MAX], const struct upload_record *r)
{
	struct pack p = {out, out + RECORD_UPLOAD_BYTES_MAX, false};
	pack_fixed(&p, (uint64_t)r->since_ns, 8);
	pack_text(&p, r->key, strlen(r->key));
	pack_text(&p, r->id, strlen(r->id));
	assert(!p.bad);
	return (size_t)(p.at - out);
}

int record_upload_decode(struct upload_record *out, uint64_t blob, const void *bytes, size_t length)
{
	struct unpack u = {bytes, (const uint8_t *)bytes + length, false};
	memset(out, 0, sizeof(*out));
	out->blob = blob;
	out->since_ns = (int64_t)unpack_fixed(&u, 8);
	unpack_text(&u, out->key, sizeof(out->key));
	unpack_text(&u, out->id, sizeof(out->id));
	return unpack_done(&u) && record_upload_valid(out) ? 0 : -EUCLEAN;
}

/* -- counters -- */

void record_counters_encode(uint8_t out[RECORD_COUNTERS_BYTES], const struct counters *c)
{
	const uint64_t numbers[] = {c->next_ino, c->next_blob, c->files,   c->folders,
				    c->symlinks, c->bytes,     c->pending, c->held};
	struct pack p = {out, out + RECORD_COUNTERS_BYTES, false};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		pack_fixed(&p, numbers[i], 8);
}

int record_counters_decode(struct counters *out, const void *bytes, size_t length)
{
	struct unpack u = {bytes, (const uint8_t *)bytes + length, false};
	uint64_t *const numbers[] = {&out->next_ino, &out->next_blob, &out->files,   &out->folders,
				     &out->symlinks, &out->bytes,     &out->pending, &out->held};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		*numbers[i] = unpack_fixed(&u, 8);
	return unpack_done(&u) && out->next_ino > INO_ROOT && out->next_blob > 0 ? 0 : -EUCLEAN;
}
