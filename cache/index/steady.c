/* The file `steady`, all numbers little-endian:
 *
 *     0     16  magic
 *     16     4  format of the index
 *     20     4  flags: 1 = clean
 *     24    40  boot id
 *     64     8  txn
 *     72     8  file bytes
 *     80     4  page bytes
 *     84     4  0
 *     88  1024  the first 512 bytes of meta page 0 and of meta page 1
 *     1112  16  digest of all before
 *
 * The magic and the format keep their place in every format, so that a newer one is told from
 * damage.
 *
 * The file is always as long, and the one that it replaces is kept as steady.old and overwritten
 * the next time (RENAME_EXCHANGE): on most filesystems a checkpoint then needs no new block, and
 * works on a full disk. What is overwritten is never the newest durable one: that has the name
 * `steady` until the exchange is durable.
 *
 * Of LMDB's file format (version 1, 64 bits) this knows: a page header of 16 bytes with the page's
 * flags at 10; then magic and version at 16 and 20, the page size at 40, the last page at 136, the
 * transaction at 144. LMDB reads and writes the first 152 bytes of a meta page only. */
#include "steady.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/base/whole.h"
#include "index.h"
#include "pack.h"
#include "record.h"

_Static_assert(sizeof(size_t) == 8, "LMDB's meta page is known here for 64 bits only");

static const char magic[16] = "tootfs steady\r\n";
enum { FLAG_CLEAN = 1 };
enum { DIGEST_AT = STEADY_BYTES - DIGEST_BYTES };

/* -- meta pages -- */

enum { META_PAGE_FLAG = 8, META_VERSION = 1 };
#define META_MAGIC 0xbeefc0deu

struct meta {
	uint32_t page_bytes;
	uint64_t last_page, txn;
};

static uint64_t number_at(const uint8_t *page, size_t offset, size_t bytes)
{
	struct unpack u = {page + offset, page + offset + bytes, false};
	return unpack_fixed(&u, bytes);
}

static int meta_decode(struct meta *out, const uint8_t page[STEADY_META_BYTES])
{
	out->page_bytes = (uint32_t)number_at(page, 40, 4);
	out->last_page = number_at(page, 136, 8);
	out->txn = number_at(page, 144, 8);
	if (!(number_at(page, 10, 2) & META_PAGE_FLAG) || number_at(page, 16, 4) != META_MAGIC)
		return -EUCLEAN;
	if (number_at(page, 20, 4) != META_VERSION)
		return -EPROTO;
	if (out->page_bytes < STEADY_META_BYTES || out->page_bytes > 65536 ||
	    (out->page_bytes & (out->page_bytes - 1)) != 0)
		return -EUCLEAN;
	return 0;
}

static int metas_decode(const struct steady *s, struct meta *newer)
{
	struct meta metas[2];
	for (int i = 0; i < 2; i++) {
		int rc = meta_decode(&metas[i], s->metas[i]);
		if (rc != 0)
			return rc;
	}
	if (metas[0].page_bytes != metas[1].page_bytes)
		return -EUCLEAN;
	*newer = metas[metas[1].txn > metas[0].txn];
	return 0;
}

static int read_all(int fd, void *out, size_t length, off_t at)
{
	ssize_t n = whole_read(fd, out, length, (uint64_t)at);
	return n < 0 ? (int)n : (size_t)n < length ? -EUCLEAN : 0;
}

int steady_take(int file_fd, struct steady *out)
{
	struct meta first, newer;
	struct stat st;

	int rc = read_all(file_fd, out->metas[0], STEADY_META_BYTES, 0);
	if (rc == 0)
		rc = meta_decode(&first, out->metas[0]);
	if (rc == 0)
		rc = read_all(file_fd, out->metas[1], STEADY_META_BYTES, first.page_bytes);
	if (rc == 0)
		rc = metas_decode(out, &newer);
	if (rc != 0)
		return rc;
	if (fstat(file_fd, &st) != 0)
		return -errno;
	out->txn = newer.txn;
	out->page_bytes = newer.page_bytes;
	out->file_bytes = (uint64_t)st.st_size;
	return 0;
}

int steady_put_back(int file_fd, const struct steady *steady)
{
	for (int i = 0; i < 2; i++) {
		int rc = whole_write(file_fd, steady->metas[i], STEADY_META_BYTES,
				     (uint64_t)i * steady->page_bytes);
		if (rc != 0)
			return rc;
	}
	return fdatasync(file_fd) == 0 ? 0 : -errno;
}

/* -- the file -- */

void steady_encode(uint8_t out[STEADY_BYTES], const struct steady *s)
{
	struct pack p = {out, out + STEADY_BYTES, false};
	pack_bytes(&p, magic, sizeof(magic));
	pack_fixed(&p, INDEX_FORMAT, 4);
	pack_fixed(&p, s->clean ? FLAG_CLEAN : 0, 4);
	pack_bytes(&p, s->boot_id, STEADY_BOOT_BYTES);
	pack_fixed(&p, s->txn, 8);
	pack_fixed(&p, s->file_bytes, 8);
	pack_fixed(&p, s->page_bytes, 4);
	pack_fixed(&p, 0, 4);
	pack_bytes(&p, s->metas, sizeof(s->metas));
	assert(!p.bad && p.at == out + DIGEST_AT);
	record_digest(out + DIGEST_AT, out, DIGEST_AT);
}

int steady_decode(struct steady *out, const void *bytes, size_t length)
{
	struct unpack u = {bytes, (const uint8_t *)bytes + length, false};
	uint8_t digest[DIGEST_BYTES];
	struct meta newer;

	memset(out, 0, sizeof(*out));
	const uint8_t *start = unpack_bytes(&u, sizeof(magic));
	if (!start || memcmp(start, magic, sizeof(magic)) != 0)
		return -EUCLEAN;
	uint64_t format = unpack_fixed(&u, 4);
	if (!u.bad && format > INDEX_FORMAT)
		return -EPROTO;
	if (length != STEADY_BYTES || format != INDEX_FORMAT)
		return -EUCLEAN;
	record_digest(digest, bytes, DIGEST_AT);
	if (memcmp(digest, (const uint8_t *)bytes + DIGEST_AT, DIGEST_BYTES) != 0)
		return -EUCLEAN;
	out->clean = (unpack_fixed(&u, 4) & FLAG_CLEAN) != 0;
	memcpy(out->boot_id, unpack_bytes(&u, STEADY_BOOT_BYTES), STEADY_BOOT_BYTES);
	out->txn = unpack_fixed(&u, 8);
	out->file_bytes = unpack_fixed(&u, 8);
	out->page_bytes = (uint32_t)unpack_fixed(&u, 4);
	unpack_fixed(&u, 4);
	memcpy(out->metas, unpack_bytes(&u, sizeof(out->metas)), sizeof(out->metas));
	if (metas_decode(out, &newer) != 0 || newer.txn != out->txn ||
	    newer.page_bytes != out->page_bytes ||
	    memchr(out->boot_id, 0, STEADY_BOOT_BYTES) == NULL)
		return -EUCLEAN;
	return 0;
}

static int write_spare(int folder_fd, const uint8_t bytes[STEADY_BYTES])
{
	AUTO_CLOSE int fd =
	    openat(folder_fd, "steady.old", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int rc = whole_write(fd, bytes, STEADY_BYTES, 0);
	if (rc == 0 && (ftruncate(fd, STEADY_BYTES) != 0 || fsync(fd) != 0))
		rc = -errno;
	return rc;
}

/* Exchanged where the filesystem can; replaced where it cannot, or where there is none yet. *used:
 * no spare is left. */
static int put_in_place(int folder_fd, bool *used)
{
	*used = renameat2(folder_fd, "steady.old", folder_fd, "steady", RENAME_EXCHANGE) != 0;
	if (*used && renameat(folder_fd, "steady.old", folder_fd, "steady") != 0)
		return -errno;
	return 0;
}

int steady_write(int folder_fd, const struct steady *steady, bool *unsure)
{
	uint8_t bytes[STEADY_BYTES];
	bool used = false;
	*unsure = false;
	steady_encode(bytes, steady);
	int rc = write_spare(folder_fd, bytes);
	if (rc == 0)
		rc = put_in_place(folder_fd, &used);
	if (rc == 0 && fsync(folder_fd) != 0) {
		*unsure = true;
		rc = -errno;
	}
	/* The next one must not need room that the disk may not have by then. Without it, it may
	 * work still. */
	if (rc == 0 && used && write_spare(folder_fd, bytes) != 0)
		unlinkat(folder_fd, "steady.old", 0);
	return rc;
}

int steady_read(int folder_fd, const char *name, struct steady *out)
{
	uint8_t bytes[STEADY_BYTES + 1];
	AUTO_CLOSE int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	ssize_t length = whole_read(fd, bytes, sizeof(bytes), 0);
	return length < 0 ? (int)length : steady_decode(out, bytes, (size_t)length);
}

int steady_boot_id(char out[STEADY_BOOT_BYTES])
{
	AUTO_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	memset(out, 0, STEADY_BOOT_BYTES);
	ssize_t n = read(fd, out, STEADY_BOOT_BYTES - 1);
	if (n < 0)
		return -errno;
	out[strcspn(out, "\n")] = '\0';
	return out[0] ? 0 : -EIO;
}
