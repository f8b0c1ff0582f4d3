/* A rescue, cut off at each of its events. A cache that was killed is damaged, so that its start must rescue it; that start
 * is recorded, and then cut at every event of it, each time as a power cut may leave the disk. The next start must come up;
 * and all that the files had is in the bucket or, byte for byte, in a file below lost+found. A file there may be longer: what
 * was never closed is kept as well.
 *
 * What the files had is what is the same in the pictures before and after the step that was under way. Symlinks are not
 * looked for: their targets are in the index alone, which is what was damaged. */
#include "rescues.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/internal.h"
#include "check.h"
#include "disk.h"
#include "images.h"
#include "record.h"
#include "seams.h"
#include "work.h"

enum { DAMAGES = 4, FILES_MAX = 4096 };

/* -- damage -- */

static void overwrite(const char *path, size_t length)
{
	char zeros[16384] = {0};
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || length > sizeof(zeros))
		broken("%s: %s", path, strerror(errno));
	write_fully(fd, zeros, length);
	close(fd);
}

static const char *damage(const char *folder, unsigned kind)
{
	static const char *const names[DAMAGES] = {"steady is gone", "steady is damaged", "index.mdb is gone",
						   "the first pages of index.mdb are damaged"};
	char path[220];
	snprintf(path, sizeof(path), "%s/%s", folder, kind < 2 ? "steady" : "index.mdb");
	if (kind % 2)
		overwrite(path, kind == 1 ? 64 : 8192);
	else if (unlink(path))
		broken("%s: %s", path, strerror(errno));
	return names[kind];
}

/* -- what is below lost+found -- */

static struct {
	struct {
		char *bytes;
		size_t length;
	} files[FILES_MAX];
	size_t count;
} kept;

static void forget_kept(void)
{
	while (kept.count)
		free(kept.files[--kept.count].bytes);
}

static int keep_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	if (type != FTW_F || kept.count == FILES_MAX)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	kept.files[kept.count].length = (size_t)st->st_size;
	kept.files[kept.count].bytes = malloc((size_t)st->st_size + 1);
	if (fd < 0 || !kept.files[kept.count].bytes)
		broken("%s: %s", path, strerror(errno));
	read_fully(fd, kept.files[kept.count++].bytes, (size_t)st->st_size);
	close(fd);
	return 0;
}

static bool is_kept(const struct seen *seen)
{
	for (size_t i = 0; i < kept.count; i++)
		if (kept.files[i].length >= seen->length &&
		    hash_bytes(0, kept.files[i].bytes, seen->length) == seen->hash)
			return true;
	for (const struct stored_object *o = far.objects.first; o; o = o->next)
		if (!o->id[0] && o->whole.length == seen->length &&
		    hash_bytes(0, o->whole.at, o->whole.length) == seen->hash)
			return true;
	return false;
}

static bool is_in(const struct seen *seen, const struct story *story, const struct step *step)
{
	for (uint32_t i = 0; i < step->seen_count; i++) {
		const struct seen *other = &story->seen[step->seen_at + i];
		if (!strcmp(other->path, seen->path))
			return other->hash == seen->hash && other->length == seen->length;
	}
	return false;
}

static bool check_kept_files(const struct expected *e, struct verdict *v)
{
	for (int i = 0; i < ACTORS; i++) {
		const struct story *story = &e->stories[i];
		const struct step *low = &story->steps[e->low[i]], *high = &story->steps[e->high[i]];
		for (uint32_t j = 0; j < low->seen_count; j++) {
			const struct seen *seen = &story->seen[low->seen_at + j];
			if (S_ISREG(seen->mode) && seen->length && is_in(seen, story, high) && !is_kept(seen))
				return wrong(v, "%s, %llu bytes: neither in the bucket nor in lost+found", seen->path,
					     (unsigned long long)seen->length);
		}
	}
	return true;
}

/* -- starts -- */

static bool start(const char *folder, struct verdict *v)
{
	struct buf why AUTO_BUF = BUF_EMPTY;
	struct cache_config config;
	struct cache *cache;
	work_config(&config, folder);
	config.cache_size_bytes = 64 << 20;
	int r = cache_open(&config, &cache, &why);
	bool good = r ? wrong(v, "it does not open: %s", buf_string(&why)) : check_index(cache, false, v);
	if (!r)
		cache_close(&cache);
	config_destroy(&config);
	return good;
}

/* A damage that steady can mend is none any more after the next boot: then there is nothing to look for. The README may
 * be in neither folder: here a move from one to another is two changes, which is less than disks promise. */
static bool check_rescued(const char *folder, const struct expected *e, bool must, struct rescues *r,
			  struct verdict *v)
{
	char lost[220];
	snprintf(lost, sizeof(lost), "%s/lost+found", folder);
	if (access(lost, F_OK))
		return must ? wrong(v, "nothing was rescued") : true;
	forget_kept();
	nftw(lost, keep_one, 16, FTW_PHYS);
	r->rescued++;
	return check_kept_files(e, v);
}

static bool check_cut(const struct disk *disk, uint64_t seed, const char *folder, struct verdict *v)
{
	struct objects bucket = {NULL};
	images_clear(folder);
	disk_image(disk, draw_below(&seed, 8) ? CUT_POWER : CUT_KILL, draw(&seed), folder, &bucket);
	objects_clear(&bucket);
	seam_boot_id = "the boot after the cut";
	return start(folder, v);
}

static void tell(struct rescues *r, const struct expected *e, const char *what, size_t at, const struct verdict *v)
{
	r->wrong++;
	printf("crash: seed %llu, killed before event %zu, %s, cut before event %zu of the rescue: %s\n",
	       (unsigned long long)r->seed, e->at, what, at, v->why);
	fflush(stdout);
}

static void cut_everywhere(struct rescues *r, const struct expected *e, const struct log *log, const char *what,
			   bool must)
{
	struct disk *disk = disk_new(log, NULL);
	char again[200];
	size_t begin = 0;
	snprintf(again, sizeof(again), "%s/again", r->folder);
	while (begin < log->count && log->events[begin].kind != EVENT_SYNC)
		begin++;
	for (size_t at = begin + 1; at <= log->count; at += r->stride) {
		struct verdict v = {""};
		uint64_t seed = r->seed + at;
		disk_advance(disk, at);
		if (!check_cut(disk, draw(&seed), again, &v) || !check_rescued(again, e, must, r, &v))
			tell(r, e, what, at, &v);
		r->done++;
	}
	disk_free(&disk);
}

static void rescue_one(struct rescues *r, struct disk *disk, size_t at, unsigned kind, struct log *log)
{
	struct expected e = {.stories = r->stories, .at = at, .killed = true};
	struct verdict v = {""};
	uint64_t seed = r->seed ^ at;
	char folder[200];
	snprintf(folder, sizeof(folder), "%s/rescued", r->folder);
	images_clear(folder);
	disk_advance(disk, at);
	disk_image(disk, CUT_KILL, draw(&seed), folder, &far.objects);
	if (!check_txn(&e, folder, &v) || e.txn == 0)
		return; /* nothing was there yet */
	const char *what = damage(folder, kind);
	seam_boot_id = SEAM_BOOT_RECORDED;
	log_clear(log);
	record_start(log, folder, seed, r->lies);
	bool good = start(folder, &v);
	record_stop();
	if (!good || !check_rescued(folder, &e, true, r, &v))
		tell(r, &e, what, log->count, &v);
	else
		cut_everywhere(r, &e, log, what, kind != 3);
}

void rescues_run(struct rescues *r)
{
	struct disk *disk = disk_new(r->log, NULL);
	struct log log;
	log_init(&log);
	seam_rescues = true;
	for (unsigned i = 0; i < r->count && r->wrong < r->enough; i++) {
		size_t span = r->log->count - r->begin;
		rescue_one(r, disk, r->begin + span * (i + 1) / (r->count + 1), i % DAMAGES, &log);
	}
	forget_kept();
	disk_free(&disk);
}
