#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cache/base/clock.h"
#include "cache/index/pending.h"
#include "cache/index/steady.h"
#include "cache/file.h"
#include "cache/internal.h"
#include "cache/tree.h"
#include "files.h"
#include "seams.h"
#include "work.h"

#define LATER "later"
enum { DRAIN_MS = 30000, SWEEP_MS = 10000 };

bool wrong(struct verdict *v, const char *fmt, ...)
{
	va_list args;
	if (v->why[0])
		return false;
	va_start(args, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, args);
	va_end(args);
	return false;
}

/* -- which transaction -- */

static void find_steps(struct expected *e)
{
	for (int i = 0; i < ACTORS; i++) {
		const struct story *story = &e->stories[i];
		size_t low = 0, high;
		while (low + 1 < story->count && story->steps[low + 1].last <= e->txn)
			low++;
		high = low;
		while (high + 1 < story->count && story->steps[high + 1].first <= e->txn)
			high++;
		e->low[i] = low;
		e->high[i] = high;
	}
}

/* Whatever was acknowledged, and perhaps the step that was under way. */
static void find_acknowledged(struct expected *e)
{
	for (int i = 0; i < ACTORS; i++) {
		const struct story *story = &e->stories[i];
		size_t low = 0;
		while (low + 1 < story->count && story->steps[low + 1].at <= e->at)
			low++;
		e->low[i] = low;
		e->high[i] = low + 1 < story->count ? low + 1 : low;
	}
}

bool check_txn(struct expected *e, const char *folder, struct verdict *v)
{
	struct steady steady;
	int fd AUTO_CLOSE = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : steady_read(fd, "steady", &steady);
	if (r && r != -ENOENT)
		return wrong(v, "steady: %s", strerror(-r));
	e->txn = r ? 0 : steady.txn;
	if (e->txn < e->promised)
		return wrong(v, "transaction %llu was promised, %llu is what is left", (unsigned long long)e->promised,
			     (unsigned long long)e->txn);
	if (e->killed)
		find_acknowledged(e);
	else
		find_steps(e);
	return true;
}

/* -- the tree -- */

struct walk {
	struct cache *cache;
	struct verdict *v;
	struct seen *seen;
	uint64_t *inos;
	size_t count, from;
	const char *dir;
};

static int visit(void *arg, const struct listing_entry *entry)
{
	struct walk *w = arg;
	struct seen *seen = &w->seen[w->count];
	char path[2 * PATH_BYTES + 256];
	if (w->count == MODEL_NAMES_MAX + 1)
		return 1;
	snprintf(path, sizeof(path), "%s/%s", w->dir, entry->name);
	memset(seen, 0, sizeof(*seen));
	snprintf(seen->path, sizeof(seen->path), "%.*s", PATH_BYTES - 1, path);
	seen->mode = entry->stat.st_mode;
	seen->length = S_ISDIR(entry->stat.st_mode) ? 0 : (uint64_t)entry->stat.st_size;
	w->inos[w->count++] = entry->stat.st_ino;
	return 0;
}

static bool list(struct walk *w, const char *dir, uint64_t ino)
{
	struct listing *listing;
	w->dir = dir;
	int r = listing_open(w->cache, ino, &listing);
	if (r)
		return wrong(w->v, "%s: cannot be listed: %s", dir, strerror(-r));
	r = listing_read(listing, 0, visit, w);
	listing_close(&listing);
	return r ? wrong(w->v, "%s: cannot be listed: %s", dir, strerror(-r)) : true;
}

static bool read_content(struct walk *w, size_t i)
{
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	struct seen *seen = &w->seen[i];
	char *target AUTO_FREE = NULL;
	int r = S_ISLNK(seen->mode) ? tree_readlink(w->cache, w->inos[i], &target)
				    : files_read(w->cache, w->inos[i], &bytes);
	if (r)
		return wrong(w->v, "%s: cannot be read: %s", seen->path, strerror(-r));
	if (target)
		buf_text(&bytes, target);
	if (bytes.length != seen->length)
		return wrong(w->v, "%s: %zu bytes are read of %llu", seen->path, bytes.length,
			     (unsigned long long)seen->length);
	seen->hash = hash_bytes(0, buf_string(&bytes), bytes.length);
	return true;
}

/* Everything below a top folder. */
static bool see(struct walk *w, const char *top)
{
	struct stat st;
	int r = files_look(w->cache, top, &st);
	if (r)
		return wrong(w->v, "%s: %s", top, strerror(-r));
	w->count = 1;
	memset(&w->seen[0], 0, sizeof(w->seen[0]));
	snprintf(w->seen[0].path, PATH_BYTES, "%s", top);
	w->seen[0].mode = st.st_mode;
	w->inos[0] = st.st_ino;
	for (size_t i = 0; i < w->count; i++) {
		if (S_ISDIR(w->seen[i].mode) ? !list(w, w->seen[i].path, w->inos[i]) : !read_content(w, i))
			return false;
	}
	return true;
}

static void number_links(struct walk *w)
{
	for (size_t i = 0; i < w->count; i++) {
		struct stat st;
		w->seen[i].same_as = (uint32_t)i;
		w->inos[i] = files_look(w->cache, w->seen[i].path, &st) ? 0 : st.st_ino;
		for (size_t j = 0; j < i; j++)
			if (w->inos[j] == w->inos[i]) {
				w->seen[i].same_as = (uint32_t)j;
				break;
			}
	}
}

/* -1: they are the same. Else the first that differs, in whichever of the two has it. */
static int differs(const struct seen *a, size_t a_count, const struct seen *b, size_t b_count)
{
	size_t i = 0;
	while (i < a_count && i < b_count && !memcmp(&a[i], &b[i], sizeof(a[i])))
		i++;
	return i == a_count && i == b_count ? -1 : (int)i;
}

static void describe(const struct seen *seen, size_t count, size_t i, char out[200])
{
	if (i >= count)
		snprintf(out, 200, "nothing");
	else
		snprintf(out, 200, "%s mode %o length %llu hash %llx", seen[i].path, seen[i].mode,
			 (unsigned long long)seen[i].length, (unsigned long long)seen[i].hash);
}

static bool match(struct walk *w, struct expected *e, int actor)
{
	const struct story *story = &e->stories[actor];
	char is[200], was[200];
	int at = 0;
	for (size_t i = e->low[actor]; i <= e->high[actor]; i++) {
		const struct step *step = &story->steps[i];
		e->found[actor] = i;
		at = differs(w->seen, w->count, story->seen + step->seen_at, step->seen_count);
		if (at < 0)
			return true;
	}
	const struct step *step = &story->steps[e->high[actor]];
	describe(w->seen, w->count, (size_t)at, is);
	describe(story->seen + step->seen_at, step->seen_count, (size_t)at, was);
	return wrong(w->v, "at transaction %llu, steps %zu to %zu (%s): there is %s, there was %s",
		     (unsigned long long)e->txn, e->low[actor], e->high[actor], step->what, is, was);
}

bool check_tree(struct cache *cache, struct expected *e, struct verdict *v)
{
	static struct seen seen[MODEL_NAMES_MAX + 1];
	static uint64_t inos[MODEL_NAMES_MAX + 1];
	struct walk w = {.cache = cache, .v = v, .seen = seen, .inos = inos};
	for (int i = 0; i < ACTORS; i++) {
		if (!see(&w, e->stories[i].top))
			return false;
		seen_sort(seen, w.count);
		number_links(&w);
		if (!match(&w, e, i))
			return false;
	}
	return true;
}

/* -- it goes on -- */

static int write_file(struct cache *cache, const char *path, uint64_t offset, const char *text)
{
	struct create create = {.mode = 0600, .flags = O_RDWR};
	struct file *file;
	struct stat st;
	int r = files_walk(cache, path, &create.parent, &create.name);
	if (!r)
		r = tree_create(cache, &create, &file, &st);
	if (r == -EEXIST)
		r = files_open(cache, path, O_RDWR, &file);
	if (r)
		return r;
	r = files_write(file, offset, text, strlen(text));
	if (!r)
		r = file_flush(file);
	file_close(&file);
	return r;
}

static const struct seen *choose_file(const struct expected *e)
{
	for (int i = 0; i < ACTORS; i++) {
		const struct step *step = &e->stories[i].steps[e->found[i]];
		const struct seen *seen = e->stories[i].seen + step->seen_at;
		for (uint32_t j = 0; j < step->seen_count; j++) {
			bool alone = S_ISREG(seen[j].mode) && seen[j].same_as == j;
			for (uint32_t k = j + 1; k < step->seen_count; k++)
				alone = alone && seen[k].same_as != j;
			if (alone && (e->txn + j) % 3 == 0)
				return &seen[j];
		}
	}
	return NULL;
}

/* A new file, and a bit more at the end of an old one: behind its bytes, the disk may have had others. */
static bool check_goes_on(struct cache *cache, struct expected *e, struct verdict *v)
{
	struct buf bytes AUTO_BUF = BUF_EMPTY;
	const struct seen *seen = choose_file(e);
	struct stat st;
	int r = write_file(cache, LATER, 0, "later");
	if (r)
		return wrong(v, "afterwards nothing can be written: %s", strerror(-r));
	if (!seen)
		return true;
	e->later = *seen;
	r = files_look(cache, seen->path, &st);
	if (!r)
		r = files_read(cache, st.st_ino, &bytes);
	if (!r)
		r = write_file(cache, seen->path, seen->length + 5, "more");
	if (r)
		return wrong(v, "%s: afterwards it cannot be changed: %s", seen->path, strerror(-r));
	buf_append(&bytes, "\0\0\0\0\0more", 9);
	e->later.length = bytes.length;
	e->later.hash = hash_bytes(0, bytes.data, bytes.length);
	return true;
}

/* -- the bucket in the end -- */

static int count_upload(void *arg, const struct upload_record *record)
{
	(void)record;
	++*(unsigned *)arg;
	return 0;
}

static bool is_drained(struct cache *cache)
{
	struct txn *txn AUTO_ABORT = NULL;
	uint64_t count = 0;
	unsigned uploads = 0;
	if (txn_begin_read(cache->flow.index, &txn) || pending_count(txn, &count) ||
	    uploads_each(txn, count_upload, &uploads) < 0)
		return false;
	return count + uploads == 0;
}

static bool drain(struct cache *cache, struct verdict *v)
{
	const struct timespec pause = {0, 500000};
	int64_t deadline_ms = clock_ms() + DRAIN_MS;
	while (!is_drained(cache)) {
		if (clock_ms() >= deadline_ms)
			return wrong(v, "not all wishes are fulfilled");
		checkpoint_hurry(cache->flow.checkpoints);
		send_hurry(cache->flow.sends); /* a wish may rest, since it failed before the cut */
		nanosleep(&pause, NULL);
	}
	return true;
}

static const struct seen *find_seen(const struct expected *e, const char *key)
{
	static struct seen made = {.mode = S_IFREG, .length = 5};
	made.hash = hash_bytes(0, "later", 5);
	if (!strcmp(key, LATER))
		return &made;
	if (!strcmp(key, e->later.path))
		return &e->later;
	for (int i = 0; i < ACTORS; i++) {
		const struct step *step = &e->stories[i].steps[e->found[i]];
		const struct seen *seen = e->stories[i].seen + step->seen_at;
		for (uint32_t j = 0; j < step->seen_count; j++)
			if (!strcmp(seen[j].path, key) && !S_ISDIR(seen[j].mode))
				return &seen[j];
	}
	return NULL;
}

static size_t count_files(const struct expected *e)
{
	size_t count = e->changes; /* LATER */
	for (int i = 0; i < ACTORS; i++) {
		const struct step *step = &e->stories[i].steps[e->found[i]];
		for (uint32_t j = 0; j < step->seen_count; j++)
			count += !S_ISDIR(e->stories[i].seen[step->seen_at + j].mode);
	}
	return count;
}

bool check_drained(struct cache *cache, const struct expected *e, struct verdict *v)
{
	size_t count = 0;
	if (!drain(cache, v))
		return false;
	for (const struct stored_object *o = far.objects.first; o; o = o->next, count++) {
		const struct seen *seen = find_seen(e, o->key);
		if (o->id[0])
			return wrong(v, "%s: an upload is left", o->key);
		if (!seen)
			return wrong(v, "%s: an object without a file is left", o->key);
		if (seen->length != o->whole.length || seen->hash != hash_bytes(0, o->whole.at, o->whole.length))
			return wrong(v, "%s: the object has not the file's bytes", o->key);
		if (S_ISLNK(seen->mode) != S_ISLNK(o->attrs.mode))
			return wrong(v, "%s: the object does not say what it is", o->key);
	}
	if (count != count_files(e))
		return wrong(v, "%zu objects for %zu files", count, count_files(e));
	return true;
}

/* -- all of it -- */

/* The sweep goes on in the background, and what it condemns is dropped after a checkpoint. */
static bool check_swept(struct cache *cache, struct verdict *v)
{
	const struct timespec pause = {0, 500000};
	int64_t deadline_ms = clock_ms() + SWEEP_MS;
	struct verdict look = {""};
	while (!check_index(cache, true, &look)) {
		if (clock_ms() >= deadline_ms)
			return wrong(v, "in the end: %s", look.why);
		look.why[0] = '\0';
		checkpoint_hurry(cache->flow.checkpoints);
		nanosleep(&pause, NULL);
	}
	return true;
}

static bool check_kept(const char *folder, struct verdict *v)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/lost+found", folder);
	return access(path, F_OK) ? true : wrong(v, "the power cut was taken for a loss: there is lost+found");
}

static bool check_opened(struct cache *cache, struct expected *e, struct verdict *v)
{
	if (!check_index(cache, false, v))
		return false;
	int r = cache_start(cache, NULL);
	if (r)
		return wrong(v, "it does not start: %s", strerror(-r));
	bool good = check_tree(cache, e, v) && (!e->changes || check_goes_on(cache, e, v)) && check_drained(cache, e, v) && check_swept(cache, v);
	cache_stop(cache);
	return good;
}

bool check_recovered(const char *folder, struct expected *e, struct verdict *v)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	struct cache_config config;
	struct cache *cache;
	work_config(&config, folder);
	config.cache_size_bytes = 64 << 20;
	int r = cache_open(&config, &cache, &why);
	bool good = r ? wrong(v, "it does not open: %s", buf_string(&why)) : check_opened(cache, e, v);
	if (!r)
		cache_close(&cache);
	config_destroy(&config);
	return good && check_kept(folder, v);
}
