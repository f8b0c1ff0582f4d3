/* The file, numbers little-endian. From its start, one change behind the other:
 *
 *     0   8  magic
 *     8   8  base: the newest transaction in index.mdb when the change was made
 *     16  4  its number among the changes with that base, from 0
 *     20  4  length of the steps
 *     24  16 digest of the 24 bytes before and the steps
 *     40     the steps: table and 0x80 where it is a delete (1), length of the key (varint), the key; for a put
 *            also the length of the value, and the value
 *
 * A batch that was committed makes its changes superfluous without a write here: their base is not the newest
 * transaction any more, and the next change overwrites the first. So the changes that count are those from the start that
 * have the right base and number and digest, up to the first that has not: a change that a kill cut short, or one of an
 * older batch. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "cache/base/log.h"
#include "cache/base/whole.h"
#include "pack.h"
#include "record.h"

enum { JOURNAL_BYTES = 1 << 20, HEAD_BYTES = 40, DIGESTED_BYTES = 24, DELETE_BIT = 0x80 };
static const char magic[8] = "tootfs\r\n";

/* -- one change -- */

static void encode_head(uint8_t head[HEAD_BYTES], const struct journal *j, size_t length)
{
	struct pack p = {head, head + HEAD_BYTES, false};
	pack_bytes(&p, magic, sizeof(magic));
	pack_fixed(&p, j->base, 8);
	pack_fixed(&p, j->count, 4);
	pack_fixed(&p, length, 4);
}

/* How long the change at `at` is with its head; 0 = there is none. */
static size_t change_at(const struct journal *j, size_t at, size_t end, uint32_t number)
{
	uint8_t digest[DIGEST_BYTES];
	struct unpack u = {j->bytes + at, j->bytes + end, false};
	const uint8_t *head = unpack_bytes(&u, HEAD_BYTES);
	if (!head || memcmp(head, magic, sizeof(magic)) != 0)
		return 0;
	struct unpack fields = {head + sizeof(magic), head + DIGESTED_BYTES, false};
	if (unpack_fixed(&fields, 8) != j->base || unpack_fixed(&fields, 4) != number)
		return 0;
	uint64_t length = unpack_fixed(&fields, 4);
	const uint8_t *steps = unpack_bytes(&u, (size_t)length);
	if (!steps)
		return 0;
	record_digest_two(digest, head, DIGESTED_BYTES, steps, (size_t)length);
	return memcmp(digest, head + DIGESTED_BYTES, DIGEST_BYTES) == 0 ? HEAD_BYTES + (size_t)length : 0;
}

static void note(struct buf *change, unsigned table, const void *key, size_t key_bytes)
{
	uint8_t head[1 + VARINT_BYTES_MAX];
	struct pack p = {head, head + sizeof(head), false};
	pack_u8(&p, (uint8_t)table);
	pack_varint(&p, key_bytes);
	buf_append(change, head, (size_t)(p.at - head));
	buf_append(change, key, key_bytes);
}

void journal_note_put(struct buf *change, unsigned table, const void *key, size_t key_bytes, const void *value,
		      size_t value_bytes)
{
	uint8_t length[VARINT_BYTES_MAX];
	struct pack p = {length, length + sizeof(length), false};
	note(change, table, key, key_bytes);
	pack_varint(&p, value_bytes);
	buf_append(change, length, (size_t)(p.at - length));
	buf_append(change, value, value_bytes);
}

void journal_note_delete(struct buf *change, unsigned table, const void *key, size_t key_bytes)
{
	note(change, table | DELETE_BIT, key, key_bytes);
}

static bool next_step(struct unpack *u, struct journal_step *step)
{
	uint8_t table = unpack_u8(u);
	step->table = table & (DELETE_BIT - 1);
	step->is_delete = (table & DELETE_BIT) != 0;
	step->key_bytes = (size_t)unpack_varint(u);
	step->key = unpack_bytes(u, step->key_bytes);
	step->value_bytes = step->is_delete ? 0 : (size_t)unpack_varint(u);
	step->value = step->is_delete ? NULL : unpack_bytes(u, step->value_bytes);
	return !u->bad;
}

int journal_steps(const uint8_t *steps, size_t length, journal_visit *visit, void *arg)
{
	struct unpack u = {steps, steps + length, false};
	struct journal_step step;
	while (!unpack_done(&u)) {
		if (!next_step(&u, &step))
			return -EUCLEAN;
		int rc = visit(arg, &step);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int journal_each(const struct journal *j, journal_visit *visit, void *arg)
{
	size_t at = 0;
	for (uint32_t i = 0; i < j->count; i++) {
		size_t length = change_at(j, at, j->length, i);
		int rc = length == 0 ? -EUCLEAN
				       : journal_steps(j->bytes + at + HEAD_BYTES, length - HEAD_BYTES, visit, arg);
		if (rc != 0)
			return rc;
		at += length;
	}
	return 0;
}

/* -- the file -- */

static int read_changes(struct journal *j)
{
	ssize_t end = whole_read(j->fd, j->bytes, JOURNAL_BYTES, 0);
	if (end < 0)
		return (int)end;
	for (size_t length; (length = change_at(j, j->length, (size_t)end, j->count)) > 0; j->count++)
		j->length += length;
	return 0;
}

static int open_file(struct journal *j, int folder_fd, bool look)
{
	int flags = (look ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC | O_NOFOLLOW;
	j->fd = openat(folder_fd, "journal", flags, 0600);
	if (j->fd < 0)
		return -errno;
	j->bytes = malloc(JOURNAL_BYTES);
	return j->bytes ? read_changes(j) : -ENOMEM;
}

int journal_open(struct journal *j, int folder_fd, uint64_t base, bool look)
{
	*j = (struct journal){.fd = -1, .base = base};
	int rc = open_file(j, folder_fd, look);
	if (rc == -ENOENT && look)
		return 0;
	if (rc == 0 && !look && j->count == 0) {
		rc = -posix_fallocate(j->fd, 0, JOURNAL_BYTES);
		if (rc != 0) {
			log_warn("index: no room for the journal, each change is written to index.mdb by itself "
				 "error=%s",
				 strerror(-rc));
			journal_close(j);
			rc = 0;
		}
	}
	if (rc != 0)
		journal_close(j);
	return rc;
}

void journal_close(struct journal *j)
{
	if (j->fd >= 0)
		close(j->fd);
	free(j->bytes);
	j->fd = -1;
	j->bytes = NULL;
	j->length = 0;
	j->count = 0;
}

int journal_discard(int folder_fd)
{
	if (unlinkat(folder_fd, "journal", 0) != 0)
		return errno == ENOENT ? 0 : -errno;
	return fsync(folder_fd) == 0 ? 0 : -errno;
}

bool journal_fits(const struct journal *j, const struct buf *change)
{
	return j->fd >= 0 && change->length <= JOURNAL_BYTES - HEAD_BYTES - j->length;
}

bool journal_half_full(const struct journal *j)
{
	return j->length > JOURNAL_BYTES / 2;
}

int journal_append(struct journal *j, const struct buf *change)
{
	uint8_t *head = j->bytes + j->length;
	size_t whole = HEAD_BYTES + change->length;
	encode_head(head, j, change->length);
	memcpy(head + HEAD_BYTES, change->data, change->length);
	record_digest_two(head + DIGESTED_BYTES, head, DIGESTED_BYTES, change->data, change->length);
	int rc = whole_write(j->fd, head, whole, j->length);
	j->newest = j->length;
	j->length += whole;
	j->count++;
	if (rc != 0)
		journal_take_back(j);
	return rc;
}

/* What is there must not count, not even if all of it is: it was refused, and a kill must not bring it back. Cut off, the
 * file has no reserved room any more; a change that finds none goes into index.mdb. */
void journal_take_back(struct journal *j)
{
	j->length = j->newest;
	j->count--;
	memset(j->bytes + j->length, 0, HEAD_BYTES);
	int rc = whole_write(j->fd, j->bytes + j->length, HEAD_BYTES, j->length);
	if (rc != 0 && ftruncate(j->fd, (off_t)j->length) != 0)
		log_error("index: the journal cannot be written error=%s", strerror(-rc));
}

void journal_restart(struct journal *j, uint64_t base)
{
	j->base = base;
	j->length = 0;
	j->count = 0;
}
