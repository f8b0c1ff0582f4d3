#include "send_rig.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/index/ages.h"
#include "cache/index/names.h"
#include "cache/index/pending.h"
#include "cache/sweep.h"

#define must(call)                                                                                 \
	do {                                                                                       \
		int must_r = (call);                                                               \
		if (must_r) {                                                                      \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,              \
				strerror(must_r < 0 ? -must_r : must_r));                          \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static const struct caller caller = {1000, 1000};

pthread_mutex_t send_rig_frozen = PTHREAD_MUTEX_INITIALIZER;

/* -- life -- */

void send_rig_init(struct send_rig *r)
{
	memset(r, 0, sizeof(*r));
	strcpy(r->folder, "/tmp/tootfs-send-XXXXXX");
	if (!mkdtemp(r->folder))
		abort();
	r->config.cache = r->folder;
	r->config.cache_size_bytes = 256 << 20;
	r->config.downloads = 2;
	r->config.uploads = 8;
	r->config.part_size_bytes = 64 << 10;
	r->config.io_timeout_ms = 3000;
	r->config.full_timeout_ms = 5000;
	r->config.file_mode = 0644;
	r->config.dir_mode = 0755;
}

/* The tree asks for listings of folders that are not known completely; all are, here. */
static void complete_root(struct flow *flow)
{
	struct node_record root;
	struct txn *txn;
	must(txn_begin_write(flow->index, &txn));
	must(nodes_get(txn, INO_ROOT, &root));
	root.flags |= NODE_COMPLETE;
	must(nodes_put(txn, &root));
	must(txn_commit(&txn));
}

static void configure(struct send_rig *r)
{
	const struct cache_config *c = &r->config;
	r->cache.config = c;
	r->cache.key_bytes_max = KEY_BYTES_MAX;
	r->cache.lock_fd = -1;
	r->cache.flow.config = (struct flow_config){
		.cache_size_bytes = c->cache_size_bytes,
		.uploads = c->uploads,
		.downloads = c->downloads,
		.part_size_bytes = c->part_size_bytes,
		.attrs_object = c->bucket.attrs_object,
		.durability_bucket = c->durability_bucket,
		.io_timeout_ms = c->io_timeout_ms,
		.full_timeout_ms = c->full_timeout_ms,
	};
}

void send_rig_start(struct send_rig *r)
{
	struct flow *flow = &r->cache.flow;
	struct index_config index = {.folder = r->folder, .identity = "store", .boot_id = r->boot_id};
	struct buf why AUTO_BUF = BUF_EMPTY;

	if (!r->store)
		r->store = store_new(1);
	configure(r);
	flow->bucket = store_open(r->store);
	must(blobs_open(r->folder, &flow->blobs));
	must(index_open(&index, &flow->index, &r->found, &why));
	/* what is copied for a power cut has no holes that could tell anything */
	must(sweep_open(&r->cache, r->found == INDEX_POWER_CUT ? INDEX_KILLED : r->found, &r->cache.sweep));
	must(nodes_open(flow, &flow->nodes));
	must(checkpoints_open(flow, &flow->checkpoints));
	must(evicts_open(flow, &flow->evicts));
	must(fills_open(flow, &flow->fills));
	must(sends_open(flow, &flow->sends));
	if (r->found == INDEX_NEW)
		complete_root(flow);
	must(checkpoints_start(flow->checkpoints));
	must(evicts_start(flow->evicts));
	must(fills_start(flow->fills));
	must(sends_start(flow->sends));
	must(sweep_start(r->cache.sweep));
	/* a crash is not to go back behind complete_root() */
	must(checkpoint_wait(flow->checkpoints, index_newest(flow->index), clock_ms() + 10000));
	r->running = true;
}

void send_rig_stop(struct send_rig *r, bool clean)
{
	struct flow *flow = &r->cache.flow;
	if (!r->running)
		return;
	bucket_stop(flow->bucket);
	sweep_stop(r->cache.sweep);
	evicts_stop(flow->evicts);
	fills_stop(flow->fills);
	sends_stop(flow->sends);
	must(checkpoints_stop(flow->checkpoints));
	if (clean)
		must(index_mark_clean(flow->index));
	sweep_close(&r->cache.sweep);
	sends_close(&flow->sends);
	fills_close(&flow->fills);
	evicts_close(&flow->evicts);
	checkpoints_close(&flow->checkpoints);
	nodes_close(&flow->nodes);
	index_close(&flow->index);
	blobs_close(&flow->blobs);
	bucket_close(&flow->bucket);
	r->running = false;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void send_rig_destroy(struct send_rig *r)
{
	send_rig_stop(r, true);
	if (r->store)
		store_free(&r->store);
	nftw(r->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* -- a crash: the folder as it is on the disk -- */

static const char *copy_from, *copy_to; /* nftw has no argument; guarded by send_rig_frozen */

static int copy_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char to[4096], bytes[65536];
	(void)ftw;
	snprintf(to, sizeof(to), "%s%s", copy_to, path + strlen(copy_from));
	if (type == FTW_D)
		return mkdir(to, 0700) && errno != EEXIST ? -1 : 0;
	if (type != FTW_F || strstr(path, "mdb-lock"))
		return 0;
	int in AUTO_CLOSE = open(path, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return 0; /* a blob that was dropped meanwhile */
	int out AUTO_CLOSE = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st->st_mode & 0777);
	ssize_t n;
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		if (write(out, bytes, (size_t)n) != n)
			return -1;
	return n < 0 ? -1 : 0;
}

/* Power cut: no checkpoint gets further while the files are copied, so the last one's pages stay as they are (that of
 * the index; the newer pages beside them may be torn). Kill: no transaction is under way. */
void send_rig_crash(struct send_rig *r, struct send_rig *after, bool power_cut)
{
	struct txn *txn = NULL;
	send_rig_init(after);
	after->config = r->config;
	after->config.cache = after->folder;
	after->boot_id = power_cut ? "00000000-0000-4000-8000-000000000000" : r->boot_id;
	if (!power_cut)
		must(txn_begin_write(r->cache.flow.index, &txn));
	pthread_mutex_lock(&send_rig_frozen);
	copy_from = r->folder;
	copy_to = after->folder;
	must(nftw(r->folder, copy_one, 16, FTW_PHYS));
	after->store = store_clone(r->store);
	pthread_mutex_unlock(&send_rig_frozen);
	txn_abort(&txn);
}

/* -- paths -- */

static int walk_to(struct send_rig *r, const char *path, uint64_t *parent, const char **name)
{
	struct stat st;
	const char *slash;
	*parent = INO_ROOT;
	while ((slash = strchr(path, '/'))) {
		char part[NAME_BYTES_MAX + 1];
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		int error = tree_lookup(&r->cache, *parent, part, &st);
		if (error)
			return error;
		*parent = st.st_ino;
		path = slash + 1;
	}
	*name = path;
	return 0;
}

int send_rig_look(struct send_rig *r, const char *path, struct stat *out)
{
	uint64_t parent;
	const char *name;
	int error = walk_to(r, path, &parent, &name);
	return error ? error : tree_lookup(&r->cache, parent, name, out);
}

int send_rig_open_new(struct send_rig *r, const char *path, struct file **out)
{
	struct create create = {.mode = 0644, .flags = O_RDWR, .caller = caller};
	struct stat st;
	int error = walk_to(r, path, &create.parent, &create.name);
	if (!error)
		error = tree_create(&r->cache, &create, out, &st);
	if (error != -EEXIST)
		return error;
	error = tree_lookup(&r->cache, create.parent, create.name, &st);
	return error ? error : file_open(&r->cache, st.st_ino, O_RDWR | O_TRUNC, out);
}

static int copy_bytes(void *arg, int fd, uint64_t offset, uint64_t length)
{
	return blob_write(fd, offset, arg, (size_t)length);
}

int send_rig_write_at(struct file *file, uint64_t offset, const void *bytes, size_t length)
{
	union {
		const void *in;
		void *out;
	} arg = {.in = bytes};
	struct write_source source = {copy_bytes, arg.out};
	return file_write(file, offset, length, &source);
}

int send_rig_write(struct send_rig *r, const char *path, const void *bytes, size_t length)
{
	struct file *file;
	int error = send_rig_open_new(r, path, &file);
	if (error)
		return error;
	error = send_rig_write_at(file, 0, bytes, length);
	if (!error)
		error = file_flush(file);
	file_close(&file);
	return error;
}

struct sync_read {
	struct file_read read;
	struct lock lock;
	struct wakeup wake;
	bool done;
	int error;
};

static void read_done(struct file_read *read, int error)
{
	struct sync_read *sync = container_of(read, struct sync_read, read);
	lock_take(&sync->lock);
	sync->done = true;
	sync->error = error;
	wakeup_all(&sync->wake);
	lock_drop(&sync->lock);
}

static int read_piece(struct file *file, uint64_t offset, struct buf *out)
{
	struct sync_read sync = {.read = {.offset = offset, .length = 1 << 20, .done = read_done}};
	lock_init(&sync.lock);
	wakeup_init(&sync.wake);
	int error = file_read(file, &sync.read);
	lock_take(&sync.lock);
	while (error == -EINPROGRESS && !sync.done)
		wakeup_wait(&sync.wake, &sync.lock);
	lock_drop(&sync.lock);
	error = error == -EINPROGRESS ? sync.error : error;
	if (!error) {
		char *bytes AUTO_FREE = malloc(sync.read.span.length + 1);
		error = blob_read(sync.read.span.fd, sync.read.span.offset, bytes, sync.read.span.length);
		if (!error)
			buf_append(out, bytes, sync.read.span.length);
		file_span_release(&sync.read.span);
	}
	wakeup_destroy(&sync.wake);
	lock_destroy(&sync.lock);
	return error;
}

int send_rig_read(struct send_rig *r, uint64_t ino, struct buf *out)
{
	struct file *file;
	size_t before;
	int error = file_open(&r->cache, ino, O_RDONLY, &file);
	buf_clear(out);
	if (error)
		return error;
	do {
		before = out->length;
		error = read_piece(file, out->length, out);
	} while (!error && out->length > before);
	file_close(&file);
	return error;
}

int send_rig_unlink(struct send_rig *r, const char *path)
{
	uint64_t parent;
	const char *name;
	int error = walk_to(r, path, &parent, &name);
	return error ? error : tree_unlink(&r->cache, parent, name);
}

int send_rig_rename(struct send_rig *r, const char *from, const char *to, unsigned flags)
{
	struct rename rename = {.flags = flags};
	int error = walk_to(r, from, &rename.from_parent, &rename.from);
	if (!error)
		error = walk_to(r, to, &rename.to_parent, &rename.to);
	return error ? error : tree_rename(&r->cache, &rename);
}

int send_rig_link(struct send_rig *r, const char *from, const char *to)
{
	struct stat st;
	uint64_t parent;
	const char *name;
	int error = send_rig_look(r, from, &st);
	if (!error)
		error = walk_to(r, to, &parent, &name);
	return error ? error : tree_link(&r->cache, st.st_ino, parent, name, &st);
}

int send_rig_symlink(struct send_rig *r, const char *path, const char *target)
{
	struct stat st;
	uint64_t parent;
	const char *name;
	int error = walk_to(r, path, &parent, &name);
	return error ? error : tree_symlink(&r->cache, parent, name, target, &caller, &st);
}

int send_rig_mkdir(struct send_rig *r, const char *path)
{
	struct stat st;
	uint64_t parent;
	const char *name;
	int error = walk_to(r, path, &parent, &name);
	return error ? error : tree_mkdir(&r->cache, parent, name, 0755, &caller, &st);
}
