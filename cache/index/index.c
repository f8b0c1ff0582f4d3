/* clang-format off */
/* Opening: what is found decides what is done, before LMDB sees the file.
 *
 *     index.mdb   steady   boot id   clean mark   result
 *     -           -                               made anew                                       NEW
 *     -           -        and blobs are there    refused                                         -EUCLEAN
 *     first txn   -                               as it is: its making was cut short              NEW
 *     later txn   -                               refused: nothing says what of it is whole       -EUCLEAN
 *     -           there                           refused                                         -EUCLEAN
 *     there       there    same      and newest   as it is                                        CLEAN
 *     there       there    same      else         as it is: the kernel had every page             KILLED
 *     there       there    another   and same     as it is                                        CLEAN
 *     there       there    another   else         meta pages put back from steady                 POWER_CUT
 *     any         damaged                         refused                                         -EUCLEAN
 *     noted to be damaged                         refused                                         -EUCLEAN
 *
 * What is not new is then looked through for a bounded time by a process of its own (salvage.h), since LMDB crashes on
 * damaged pages; shortly after a clean stop. What it finds is -EUCLEAN too. -EUCLEAN has changed nothing but the meta pages of POWER_CUT.
 *
 * A new index is made under another name, durably, and renamed; so an index.mdb without a steady
 * beside it is one that nobody has written to, if it is at its first transaction. After that the
 * state found becomes the first checkpoint (checkpoint.c says why), before even the journal's changes; it also takes
 * the clean mark away. Numbers that were given after the last checkpoint are not known after a power cut; a gap
 * keeps them from being given again.
 *
 * The map is one of a fixed size, so that it is never remade under open transactions; it takes
 * address space only. */
/* clang-format on */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "internal.h"
#include "nodes.h"
#include "salvage.h"

enum { FIRST_TXN = 1, NUMBERS_GAP = 1 << 20, CLEAN_SHARE = 6 };
#define MAP_BYTES_MAX ((size_t)64 << 30)
#define MAP_BYTES_MIN ((size_t)1 << 30)

static const struct bytes format_key = {"format", 6};
static const struct bytes identity_key = {"identity", 8};

/* -- the environment -- */

static int env_facts(struct index *index)
{
	MDB_stat stat;
	int rc = mdb_env_stat(index->env, &stat);
	index->page_bytes = stat.ms_psize;
	if (rc == 0)
		rc = mdb_env_get_fd(index->env, &index->file_fd);
	if (rc == 0 && fcntl(index->file_fd, F_SETFD, FD_CLOEXEC) < 0) /* LMDB leaves that to others */
		rc = errno;
	return dbi_errno(rc);
}

static int env_open(struct index *index, const char *folder, const char *file, unsigned flags,
		    struct buf *why)
{
	AUTO_BUF struct buf path = BUF_EMPTY;
	int rc = 0;
	buf_printf(&path, "%s/%s", folder, file);
	if (path.failed)
		return -ENOMEM;
	for (size_t size = MAP_BYTES_MAX; size >= MAP_BYTES_MIN; size /= 2) {
		rc = mdb_env_create(&index->env);
		if (rc != 0)
			break;
		rc = mdb_env_set_maxdbs(index->env, DBI_COUNT);
		if (rc == 0)
			rc = mdb_env_set_maxreaders(index->env, TXN_READERS_MAX);
		if (rc == 0)
			rc = mdb_env_set_mapsize(index->env, size);
		if (rc == 0)
			rc = mdb_env_open(index->env, path.data, flags | MDB_NOSUBDIR | MDB_NOTLS,
					  0600);
		if (rc == 0)
			return env_facts(index);
		mdb_env_close(index->env);
		index->env = NULL;
		if (rc != ENOMEM)
			break;
	}
	buf_printf(why, "%s: %s", buf_string(&path), mdb_strerror(rc));
	return dbi_errno(rc);
}

static void env_close(struct index *index)
{
	if (index->env)
		mdb_env_close(index->env);
	index->env = NULL;
	index->file_fd = -1;
}

/* -- a new one -- */

static int put_first_records(struct txn *txn, const char *identity)
{
	int64_t now = clock_wall_ns();
	struct node_record root = {
	    .ino = INO_ROOT,
	    .parent = INO_ROOT,
	    .mode = S_IFDIR | 0755,
	    .nlink = 2,
	    .atime_ns = now,
	    .mtime_ns = now,
	    .ctime_ns = now,
	};
	uint8_t format[10];
	int rc = dbi_put(txn, DBI_MAIN, format_key,
			 (struct bytes){format, record_number_encode(format, INDEX_FORMAT)});
	if (rc == 0)
		rc = dbi_put(txn, DBI_MAIN, identity_key,
			     (struct bytes){identity, strlen(identity)});
	return rc == 0 ? nodes_put(txn, &root) : rc;
}

/* Durable when it returns 0: without MDB_NOSYNC a commit is. */
static int create(struct index *index, const struct index_config *config, struct buf *why)
{
	struct txn *txn = NULL;
	if (unlinkat(index->folder_fd, "index.new", 0) != 0 && errno != ENOENT)
		return -errno;
	int rc = journal_discard(index->folder_fd); /* of an index before this one: its numbers would fit */
	if (rc == 0)
		rc = env_open(index, config->folder, "index.new", MDB_NOLOCK, why);
	if (rc == 0)
		rc = txn_begin_first(index, &txn);
	if (rc == 0 && config->first_blob > 0)
		txn_counters_edit(txn)->next_blob = config->first_blob;
	if (rc == 0)
		rc = put_first_records(txn, config->identity);
	if (rc == 0)
		rc = txn_commit(&txn);
	txn_abort(&txn);
	env_close(index);
	if (rc == 0 && renameat(index->folder_fd, "index.new", index->folder_fd, "index.mdb") != 0)
		rc = -errno;
	if (rc == 0 && fsync(index->folder_fd) != 0)
		rc = -errno;
	return rc;
}

/* -- what is found -- */

struct found {
	int file_fd; /* -1 = there is none */
	int file_rc, steady_rc; /* of reading the meta pages, of reading steady */
	struct steady file, steady;
};

#define WAY_OUT                                                                                    \
	"; an ordinary mount (not ro) keeps what was not uploaded in the folder lost+found of the " \
	"cache and makes a new index, into which everything in the bucket comes back by itself"

static int say(struct buf *why, int rc, const char *text)
{
	buf_clear(why);
	buf_text(why, text);
	if (rc == -EUCLEAN)
		buf_text(why, WAY_OUT);
	return rc;
}

static int say_error(struct buf *why, int rc, const char *file)
{
	buf_clear(why);
	buf_printf(why, "%s: %s", file, strerror(-rc));
	return rc;
}

/* Only what is no damage is an error yet. */
static int look(struct index *index, struct found *found, struct buf *why)
{
	int flags = (index->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW;
	found->file_fd = openat(index->folder_fd, "index.mdb", flags);
	if (found->file_fd < 0 && errno != ENOENT)
		return say_error(why, -errno, "index.mdb");
	if (found->file_fd >= 0)
		found->file_rc = steady_take(found->file_fd, &found->file);
	if (found->file_rc != 0 && found->file_rc != -EUCLEAN && found->file_rc != -EPROTO)
		return say_error(why, found->file_rc, "index.mdb");
	found->steady_rc = steady_read(index->folder_fd, "steady", &found->steady);
	if (found->steady_rc == -EPROTO)
		return say(
		    why, -EPROTO,
		    "steady: the index was made by a newer version of tootfs; it was not touched");
	if (found->steady_rc != 0 && found->steady_rc != -EUCLEAN && found->steady_rc != -ENOENT)
		return say_error(why, found->steady_rc, "steady");
	return 0;
}

static int put_back(struct index *index, const struct found *found, struct buf *why)
{
	if (index->read_only)
		return say(why, -EROFS,
			   "the index must first be recovered after a power cut; mount it once");
	int rc = journal_discard(index->folder_fd);
	if (rc == 0)
		rc = steady_put_back(found->file_fd, &found->steady);
	return rc == 0 ? 0 : say_error(why, rc, "index.mdb");
}

static int other_lmdb(struct buf *why)
{
	return say(why, -EPROTO, "index.mdb: made by another version of LMDB; it was not touched");
}

static int decide_both(struct index *index, const struct found *f, enum index_start *start,
		       struct buf *why)
{
	bool same_boot = strcmp(f->steady.boot_id, index->boot_id) == 0;
	struct stat st;
	if (fstat(f->file_fd, &st) != 0)
		return -errno;
	if ((uint64_t)st.st_size < f->steady.file_bytes)
		return say(why, -EUCLEAN, "index.mdb: the file was cut short");
	if (same_boot) {
		if (f->file_rc == -EPROTO)
			return other_lmdb(why);
		if (f->file_rc != 0)
			return say(why, -EUCLEAN, "index.mdb: its first pages are damaged");
		if (f->file.txn < f->steady.txn)
			return say(why, -EUCLEAN,
				   "index.mdb: the file is older than steady, which belongs to it");
		*start =
		    f->steady.clean && f->file.txn == f->steady.txn ? INDEX_CLEAN : INDEX_KILLED;
		return 0;
	}
	if (f->steady.clean && f->file_rc == 0 &&
	    memcmp(f->file.metas, f->steady.metas, sizeof(f->file.metas)) == 0) {
		*start = INDEX_CLEAN;
		/* everything is in index.mdb, and of an older boot's journal any sector may be an older one */
		int rc = index->read_only ? 0 : journal_discard(index->folder_fd);
		return rc == 0 ? 0 : say_error(why, rc, "journal");
	}
	*start = INDEX_POWER_CUT;
	return put_back(index, f, why);
}

static int decide(struct index *index, const struct index_config *config, const struct found *f,
		  enum index_start *start, struct buf *why)
{
	*start = INDEX_NEW;
	bool has_file = f->file_fd >= 0;
	if (index_has_damage(index->folder_fd))
		return say(why, -EUCLEAN, "index.mdb: it was found to be damaged");
	if (has_file && f->steady_rc == 0)
		return decide_both(index, f, start, why);
	if (has_file && f->file_rc == -EPROTO)
		return other_lmdb(why);
	if (f->steady_rc == 0)
		return say(
		    why, -EUCLEAN,
		    "index.mdb: the file is gone, but steady, which belongs to it, is there");
	if (f->steady_rc == -EUCLEAN)
		return say(why, -EUCLEAN,
			   "steady: the file that says what of index.mdb is whole is damaged");
	if (has_file && (f->file_rc != 0 || f->file.txn != FIRST_TXN || config->expected))
		return say(why, -EUCLEAN,
			   "steady: the file that says what of index.mdb is whole is gone");
	if (has_file)
		return 0;
	if (config->expected)
		return say(why, -EUCLEAN, "index.mdb: the file is gone, but cached files are there");
	if (index->read_only)
		return say(why, -ENOENT, "index.mdb: there is no index here");
	return create(index, config, why);
}

static int settle(struct index *index, const struct index_config *config, enum index_start *start,
		  struct buf *why)
{
	struct found found = {.file_fd = -1};
	int rc = look(index, &found, why);
	if (rc == 0)
		rc = decide(index, config, &found, start, why);
	if (found.file_fd >= 0)
		close(found.file_fd);
	return rc;
}

/* -- the records that say what it is -- */

static int check_identity(struct index *index, const char *identity, struct bytes stored,
			  struct buf *why)
{
	index->identity = strdup(identity);
	if (!index->identity)
		return -ENOMEM;
	if (stored.length == strlen(identity) && memcmp(stored.at, identity, stored.length) == 0)
		return 0;
	buf_clear(why);
	buf_text(why, "the cache was made for ");
	buf_append(why, stored.at, stored.length);
	buf_printf(why, ", not for %s; choose another cache folder", identity);
	return -EMEDIUMTYPE;
}

static int check_records(struct index *index, const struct index_config *config, struct txn *txn,
			 struct buf *why)
{
	struct bytes found;
	uint64_t format;
	int rc = dbi_get(txn, DBI_MAIN, format_key, &found);
	if (rc == -ENOENT ||
	    (rc == 0 && record_number_decode(&format, found.at, found.length) != 0))
		return say(why, -EUCLEAN, "index.mdb: it does not say what format it has");
	if (rc != 0)
		return rc;
	if (format > INDEX_FORMAT)
		return say(why, -EPROTO,
			   "index.mdb: made by a newer version of tootfs; it was not touched");
	if (format != INDEX_FORMAT)
		return say(why, -EUCLEAN, "index.mdb: its format is none that ever was");
	rc = dbi_get(txn, DBI_MAIN, identity_key, &found);
	if (rc == -ENOENT)
		return say(why, -EUCLEAN, "index.mdb: it does not say which bucket it is for");
	if (rc == 0)
		rc = check_identity(index, config->identity, found, why);
	if (rc == 0)
		rc = dbi_open_all(txn->mdb, index->dbis, false);
	return rc == -EUCLEAN ? say(why, rc, "index.mdb: a table is missing") : rc;
}

/* Nothing is written here. The tables stay open only if the transaction is committed, not aborted.
 */
static int open_tables(struct index *index, const struct index_config *config, struct buf *why)
{
	struct txn txn = {.index = index};
	int rc = dbi_errno(mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn.mdb));
	if (rc != 0)
		return rc;
	rc = dbi_errno(mdb_dbi_open(txn.mdb, NULL, 0, &index->dbis[DBI_MAIN]));
	if (rc == 0)
		rc = check_records(index, config, &txn, why);
	int committed = dbi_errno(mdb_txn_commit(txn.mdb));
	return rc == 0 ? committed : rc;
}

/* -- open and close -- */

static int checkpoint_now(struct index *index)
{
	struct index_checkpoint *checkpoint;
	int rc = index_checkpoint_begin(index, &checkpoint);
	return rc == 0 ? index_checkpoint_commit(&checkpoint) : rc;
}

/* What a killed process had acknowledged. */
static int open_journal(struct index *index, struct buf *why)
{
	int rc = journal_open(&index->journal, index->folder_fd, atomic_load(&index->newest), index->read_only);
	if (rc != 0 || !index->read_only)
		return rc;
	return index->journal.count == 0
		   ? 0
		   : say(why, -EROFS, "the index must first be recovered after a killed process; mount it once");
}

static int leave_gap(struct index *index)
{
	struct txn *txn;
	int rc = txn_begin_write(index, &txn);
	if (rc != 0)
		return rc;
	struct counters *counters = txn_counters_edit(txn);
	counters->next_ino += NUMBERS_GAP;
	counters->next_blob += NUMBERS_GAP;
	rc = txn_commit(&txn);
	return rc == 0 ? checkpoint_now(index) : rc;
}

static int look_through(const struct index_config *config, enum index_start start, struct buf *why)
{
	AUTO_BUF struct buf found = BUF_EMPTY, text = BUF_EMPTY;
	if (config->check_ms == 0 || start == INDEX_NEW)
		return 0;
	unsigned limit_ms = start == INDEX_CLEAN ? config->check_ms / CLEAN_SHARE : config->check_ms;
	int rc = salvage_check(config->folder, limit_ms, &found);
	if (rc != -EUCLEAN)
		return rc;
	buf_printf(&text, "index.mdb: %s", buf_string(&found));
	return say(why, rc, buf_string(&text));
}

static int open_all(struct index *index, const struct index_config *config, enum index_start *start,
		    struct buf *why)
{
	unsigned flags =
	    MDB_NOSYNC | MDB_NOMETASYNC | MDB_NORDAHEAD | (index->read_only ? MDB_RDONLY : 0);
	int dead;
	index->folder_fd = open(config->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (index->folder_fd < 0)
		return -errno;
	int rc = 0;
	if (config->boot_id)
		snprintf(index->boot_id, sizeof(index->boot_id), "%s", config->boot_id);
	else
		rc = steady_boot_id(index->boot_id);
	if (rc == 0)
		rc = settle(index, config, start, why);
	if (rc == 0)
		rc = look_through(config, *start, why);
	if (rc == 0)
		rc = env_open(index, config->folder, "index.mdb", flags, why);
	if (rc == 0)
		rc = open_tables(index, config, why);
	if (rc != 0)
		return rc;
	map_open(index);
	txn_note_newest(index);
	rc = open_journal(index, why);
	if (rc != 0 || index->read_only)
		return rc;
	room_keep(index);
	rc = dbi_errno(mdb_reader_check(index->env, &dead));
	if (rc == 0)
		rc = checkpoint_now(index);
	if (rc == 0)
		rc = batch_open(index);
	if (rc == 0)
		rc = checkpoint_now(index); /* what the journal had */
	if (rc == 0 && *start == INDEX_POWER_CUT)
		rc = leave_gap(index);
	return rc;
}

int index_open(const struct index_config *config, struct index **out, enum index_start *start,
	       struct buf *why)
{
	*out = NULL;
	struct index *index = calloc(1, sizeof(*index));
	if (!index)
		return -ENOMEM;
	lock_init(&index->writer);
	lock_init(&index->idle_lock);
	lock_init(&index->blobs_lock);
	index->read_only = config->read_only;
	index->folder_fd = -1;
	index->file_fd = -1;
	index->statm_fd = -1;
	index->journal.fd = -1;
	int rc = open_all(index, config, start, why);
	if (rc != 0) {
		if (why->length == 0)
			buf_printf(why, "index in %s: %s", config->folder, strerror(-rc));
		index_close(&index);
		return rc;
	}
	*out = index;
	return 0;
}

void index_close(struct index **closed)
{
	struct index *index = *closed;
	*closed = NULL;
	if (!index)
		return;
	assert(!atomic_load(&index->checkpointing));
	batch_close(index);
	txn_pool_destroy(index);
	journal_close(&index->journal);
	if (index->pin)
		mdb_txn_abort(index->pin);
	if (index->pin_unsure)
		mdb_txn_abort(index->pin_unsure);
	env_close(index);
	map_close(index);
	if (index->folder_fd >= 0)
		close(index->folder_fd);
	lock_destroy(&index->writer);
	lock_destroy(&index->idle_lock);
	lock_destroy(&index->blobs_lock);
	free(index->identity);
	free(index);
}
