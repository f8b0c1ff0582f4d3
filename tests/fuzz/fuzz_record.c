/* The first byte says which layout. What decode takes is valid, and encoding it again and decoding
 * that gives the same once more. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/index/record.h"
#include "cache/index/steady.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void node(const uint8_t *data, size_t size)
{
	static struct node_record r, back;
	struct record_node_head head;
	uint8_t again[RECORD_NODE_BYTES_MAX], twice[RECORD_NODE_BYTES_MAX];
	uint64_t ino = size % 3 + 1;

	bool has_head = record_node_head(&head, ino, data, size) == 0;
	if (record_node_decode(&r, ino, data, size) != 0)
		return;
	assert(has_head && record_node_valid(&r));
	assert(head.parent == r.parent && head.size == r.size && head.name_bytes == strlen(r.name));
	size_t length = record_node_encode(again, &r);
	assert(record_node_decode(&back, ino, again, length) == 0);
	assert(record_node_encode(twice, &back) == length && memcmp(again, twice, length) == 0);
}

static void name(const uint8_t *data, size_t size)
{
	struct name n;
	uint8_t key[RECORD_NAME_KEY_BYTES_MAX], value[RECORD_NAME_BYTES_MAX];
	if (record_name_key_decode(&n, data, size) == 0) {
		size_t length = record_name_key(key, record_be64_decode(data), n.text,
						strlen(n.text), n.folder);
		assert(length == size && memcmp(key, data, size) == 0);
	}
	if (record_name_decode(&n, data, size) == 0)
		assert(record_name_encode(value, n.ino, n.cookie) > 0);
}

static void pending(const uint8_t *data, size_t size)
{
	static struct pending_record r, back;
	uint8_t stored[RECORD_KEY_BYTES_MAX], again[RECORD_PENDING_BYTES_MAX];
	size_t stored_bytes = size ? data[0] * 2u : 0;
	if (stored_bytes >= size)
		return;
	if (record_pending_decode(&r, data + 1, stored_bytes, data + 1 + stored_bytes,
				  size - 1 - stored_bytes) != 0)
		return;
	assert(record_pending_valid(&r));
	assert(record_pending_key(stored, r.key) == stored_bytes);
	assert(memcmp(stored, data + 1, stored_bytes) == 0);
	size_t length = record_pending_encode(again, &r);
	assert(record_pending_decode(&back, stored, stored_bytes, again, length) == 0);
	assert(back.want == r.want && back.ino == r.ino && strcmp(back.key, r.key) == 0);
}

static void upload(const uint8_t *data, size_t size)
{
	static struct upload_record r, back;
	uint8_t again[RECORD_UPLOAD_BYTES_MAX];
	if (record_upload_decode(&r, 1, data, size) != 0)
		return;
	assert(record_upload_valid(&r));
	size_t length = record_upload_encode(again, &r);
	assert(record_upload_decode(&back, 1, again, length) == 0 && strcmp(back.id, r.id) == 0);
}

static void small(const uint8_t *data, size_t size)
{
	static struct steady steady;
	struct counters counters;
	uint64_t number;
	uint8_t again[16];
	if (record_number_decode(&number, data, size) == 0)
		assert(record_number_encode(again, number) <= size);
	if (record_counters_decode(&counters, data, size) == 0)
		assert(counters.next_ino > INO_ROOT && counters.next_blob > 0);
	if (steady_decode(&steady, data, size) == 0)
		assert(size == STEADY_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const decoders[])(const uint8_t *, size_t) = {node, name, pending, upload,
								    small};
	if (size == 0)
		return 0;
	decoders[data[0] % 5](data + 1, size - 1);
	return 0;
}
