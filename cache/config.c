/* The table of options, and what they may not be together.
 *
 * One row an option: how it is written, its default, its limits, its help and its member. --help,
 * the example for fstab and the tests are made from these rows, so an option that is not here does
 * not exist. A default is parsed as a user's value would be.
 *
 * Some defaults are only shown: the bucket has them, since an env file may say otherwise and an
 * option that is set here would win over it. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/loopback.h"
#include "config_table.h"

#define K      ((int64_t)1 << 10)
#define M      ((int64_t)1 << 20)
#define G      ((int64_t)1 << 30)
#define SECOND ((int64_t)1000)
#define HOUR   (3600 * SECOND)

#define MEMBER(store, member) STORE_##store, offsetof(struct cache_config, member)
#define TEXT(member)	      MEMBER(TEXT, member), 0, 0
#define ACLS                                                                                       \
	"public-read|private|none|public-read-write|authenticated-read|aws-exec-read|"             \
	"bucket-owner-read|bucket-owner-full-control"
#define IMMUTABLE "public, max-age=315576000, immutable"

/* clang-format off */
static const struct config_row rows[] = {
	/* where */
	{{"cache", CONFIG_PATH, NULL, "FOLDER",
	  "where the index and the cached files are kept; by default below /var/cache/tootfs for root, else "
	  "$XDG_CACHE_HOME/tootfs"}, TEXT(cache), false},
	{{"cache_size", CONFIG_SIZE, "10G", "a size from 64M, with K, M, G or T",
	  "what the cached files may take on the disk, files still to be uploaded included"},
	 MEMBER(U64, cache_size_bytes), 64 * M, INT64_MAX, false},
	{{"endpoint", CONFIG_TEXT, NULL, "https://HOST[:PORT]",
	  "the S3 server; by default Amazon's"}, TEXT(bucket.endpoint), false},
	{{"region", CONFIG_TEXT, "us-east-1", "NAME", "the region of the bucket"}, TEXT(bucket.region), true},
	{{"path_style", CONFIG_CHOICE, "auto", "auto|off|on",
	  "put the bucket's name into the path (on) or into the host's name (off); auto: on where there is an "
	  "endpoint"}, MEMBER(INT, bucket.path_style), -1, 1, false},

	/* who */
	{{"env_file", CONFIG_PATH, NULL, "FILE",
	  "Mastodon's .env.production: its AWS_* and S3_* settings are used"}, TEXT(bucket.env_file), false},
	{{"credentials", CONFIG_PATH, NULL, "FILE",
	  "an AWS credentials file, or one line ACCESS:SECRET; readable by its owner only"},
	 TEXT(bucket.credentials), false},
	{{"profile", CONFIG_TEXT, NULL, "NAME", "the profile in the AWS credentials and config files"},
	 TEXT(bucket.profile), false},

	/* what objects are sent with */
	{{"acl", CONFIG_CHOICE, "public-read", ACLS,
	  "the canned ACL of each object; none sends none; backups/ is always private"}, TEXT(bucket.acl), true},
	{{"cache_control", CONFIG_TEXT, IMMUTABLE, "TEXT", "the Cache-Control header of each object; none sends none"},
	 TEXT(bucket.cache_control), true},
	{{"content_types", CONFIG_PATH, NULL, "FILE",
	  "a mime.types file that wins over the built-in content types; by default /etc/mime.types fills their gaps"},
	 TEXT(bucket.content_types), false},
	{{"rules", CONFIG_PATH, NULL, "FILE",
	  "headers by path: lines of PATTERN field=value, where field is content_type, cache_control, acl, "
	  "storage_class or sse"}, TEXT(bucket.rules), false},
	{{"attrs", CONFIG_CHOICE, "none", "none|object",
	  "object: keep mode, owner and time in the metadata of each object as s3fs does"},
	 MEMBER(BOOL, bucket.attrs_object), 0, 1, false},
	{{"storage_class", CONFIG_TEXT, NULL, "CLASS", "the storage class of each object, such as STANDARD_IA"},
	 TEXT(bucket.storage_class), false},
	{{"sse", CONFIG_CHOICE, NULL, "none|AES256|aws:kms|aws:kms:dsse", "encryption by the S3 server"},
	 TEXT(bucket.sse), false},
	{{"sse_kms_key", CONFIG_TEXT, NULL, "KEY", "the id of the key for sse=aws:kms"},
	 TEXT(bucket.sse_kms_key), false},
	{{"checksum", CONFIG_CHOICE, "none", "none|sha256",
	  "sha256: have the server check and keep a checksum of each object; not every server can"},
	 MEMBER(BOOL, bucket.checksum_sha256), 0, 1, false},
	{{"verify", CONFIG_CHOICE, "auto", "off|auto",
	  "check what is downloaded against the ETag where it is an MD5, and against the stored checksum; off: do not"},
	 MEMBER(BOOL, bucket.verify), 0, 1, false},

	/* files that came from the bucket */
	{{"uid", CONFIG_NUMBER, NULL, "a number up to 4294967294",
	  "the owner of files found in the bucket; by default that of the mount point"},
	 MEMBER(U32, uid), 0, UINT32_MAX - 1, false},
	{{"gid", CONFIG_NUMBER, NULL, "a number up to 4294967294",
	  "the group of files found in the bucket; by default that of the mount point"},
	 MEMBER(U32, gid), 0, UINT32_MAX - 1, false},
	{{"file_mode", CONFIG_MODE, "0644", "octal permissions such as 0644",
	  "the permissions of files found in the bucket"}, MEMBER(U32, file_mode), 0, 07777, false},
	{{"dir_mode", CONFIG_MODE, "0755", "octal permissions such as 0755",
	  "the permissions of folders found in the bucket"}, MEMBER(U32, dir_mode), 0, 07777, false},

	/* how */
	{{"durability", CONFIG_CHOICE, "cache", "cache|bucket",
	  "bucket: close and fsync wait until the file is in the bucket"},
	 MEMBER(BOOL, durability_bucket), 0, 1, false},
	{{"uploads", CONFIG_NUMBER, "16", "a number from 1 to 256", "uploads at a time"},
	 MEMBER(U32, uploads), 1, 256, false},
	{{"downloads", CONFIG_NUMBER, "16", "a number from 1 to 256", "downloads at a time"},
	 MEMBER(U32, downloads), 1, 256, false},
	{{"part_size", CONFIG_SIZE, "8M", "a size from 5M to 5G",
	  "larger files are sent in parts of this size, while they are still being written"},
	 MEMBER(U64, part_size_bytes), 5 * M, 5 * G, false},
	{{"shared", CONFIG_TIME, "0", "seconds up to 24h; 0 = off",
	  "other hosts write to this bucket too: look again after this time"},
	 MEMBER(SECONDS, shared_s), 0, 86400, false},
	{{"ro", CONFIG_SWITCH, "off", "on|off", "mount read-only"}, MEMBER(BOOL, ro), 0, 1, false},
	{{"sticky", CONFIG_SWITCH, "on", "on|off",
	  "Mastodon's top folders stay when they are empty; off for other uses"}, MEMBER(BOOL, sticky), 0, 1, false},
	{{"survey", CONFIG_SWITCH, "on", "on|off",
	  "list the whole bucket in the background after the first mount"}, MEMBER(BOOL, survey), 0, 1, false},
	{{"stop_timeout", CONFIG_TIME, "90", "seconds up to 24h", "how long an unmount waits for uploads"},
	 MEMBER(MS, stop_timeout_ms), 0, 24 * HOUR, false},
	{{"io_timeout", CONFIG_TIME, "30", "seconds from 100ms to 1h",
	  "how long a request to the bucket is repeated before it fails"},
	 MEMBER(MS, io_timeout_ms), SECOND / 10, HOUR, false},
	{{"full_timeout", CONFIG_TIME, "60", "seconds up to 1h",
	  "how long a writer waits for room in the cache without any progress before it gets ENOSPC"},
	 MEMBER(MS, full_timeout_ms), 0, HOUR, false},
	{{"metrics", CONFIG_TEXT, NULL, "127.0.0.1:PORT",
	  "counters for Prometheus by HTTP at this address of the loopback interface; every user of this computer may read them"},
	 TEXT(metrics), false},
	{{"log", CONFIG_CHOICE, "auto", "auto|stderr|syslog|journald",
	  "where it is logged; auto: stderr in the foreground, else syslog"},
	 MEMBER(INT, log.place), 0, LOG_PLACE_JOURNALD, false},
	{{"log_level", CONFIG_CHOICE, "info", "error|warn|info|debug", "what is logged"},
	 MEMBER(INT, log.level), 0, LOG_LEVEL_DEBUG, false},
	{{"log_format", CONFIG_CHOICE, "text", "text|json", "how it is logged"},
	 MEMBER(INT, log.format), 0, LOG_FORMAT_JSON, false},
};
/* clang-format on */

enum { ROWS = sizeof(rows) / sizeof(rows[0]), NAME_MAX_BYTES = 32 };

_Static_assert(ROWS <= 64, "config.given has a bit for each row");
_Static_assert(sizeof(enum log_place) == sizeof(int) && sizeof(enum log_level) == sizeof(int) && sizeof(enum log_format) == sizeof(int),
	       "STORE_INT writes enums too");

/* -- the table -- */

static int row_find(const char *name)
{
	for (int i = 0; i < ROWS; i++)
		if (strcmp(rows[i].option.name, name) == 0)
			return i;
	return -1;
}

static bool is_given(const struct cache_config *c, const char *name)
{
	int i = row_find(name);

	assert(i >= 0);
	return c->given & (uint64_t)1 << i;
}

const struct config_option *config_find(const char *name)
{
	int i = row_find(name);

	return i < 0 ? NULL : &rows[i].option;
}

int config_each(config_visit *visit, void *arg)
{
	for (int i = 0; i < ROWS; i++) {
		int r = visit(arg, &rows[i].option);

		if (r)
			return r;
	}
	return 0;
}

/* How many letters have to be added, left out, changed or swapped with their neighbour. */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[NAME_MAX_BYTES + 1][NAME_MAX_BYTES + 1];
	size_t m = strlen(a), n = strlen(b);

	for (size_t i = 0; i <= m; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= n; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= m; i++)
		for (size_t j = 1; j <= n; j++) {
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	return d[m][n];
}

/* The nearest name, or NULL when none is near. */
static const char *nearest(const char *name)
{
	const char *found = NULL;
	unsigned best = (unsigned)strlen(name) / 3 + 1;

	for (int i = 0; strlen(name) <= NAME_MAX_BYTES && i < ROWS; i++) {
		unsigned d = distance(name, rows[i].option.name);

		if (d <= best && (!found || d < best)) {
			best = d;
			found = rows[i].option.name;
		}
	}
	return found;
}

int config_set(struct cache_config *c, const char *name, const char *value, struct buf *why)
{
	int i = row_find(name), r;
	const char *near;

	if (i < 0) {
		near = nearest(name);
		buf_printf(why, "unknown option \"%.100s\"", name);
		if (near)
			buf_printf(why, ", did you mean \"%s\"?", near);
		return -EINVAL;
	}
	if (!value && rows[i].option.kind != CONFIG_SWITCH) {
		buf_printf(why, "option \"%s\" needs a value: %s=%s", name, name,
			   rows[i].option.value);
		return -EINVAL;
	}
	r = config_value_set(c, &rows[i], value ? value : "on", why);
	if (r == 0)
		c->given |= (uint64_t)1 << i;
	return r;
}

/* -- life -- */

void config_init(struct cache_config *c)
{
	struct buf why = BUF_EMPTY;

	*c = (struct cache_config){.uid = UINT32_MAX, .gid = UINT32_MAX};
	for (int i = 0; i < ROWS; i++) {
		int r = 0;

		if (rows[i].option.fallback && !rows[i].shown_only)
			r = config_value_set(c, &rows[i], rows[i].option.fallback, &why);
		assert(r == 0);
	}
	buf_destroy(&why);
}

void config_destroy(struct cache_config *c)
{
	for (int i = 0; i < ROWS; i++)
		if (rows[i].store == STORE_TEXT) {
			int r = config_text_set((const char **)((char *)c + rows[i].offset), NULL);

			assert(r == 0);
		}
	free((void *)(uintptr_t)c->bucket.spec);
	memset(c, 0, sizeof(*c));
}

int config_spec(struct cache_config *c, const char *spec)
{
	return config_text_set(&c->bucket.spec, spec);
}

/* -- the whole -- */

static bool is_folder_bucket(const struct cache_config *c)
{
	return strncmp(c->bucket.spec, "file://", 7) == 0;
}

/* Whether the path is folder or below it; as text, without looking. */
static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	while (length > 1 && folder[length - 1] == '/')
		length--;
	return strncmp(path, folder, length) == 0 &&
	       (path[length] == '/' || path[length] == '\0' || length == 1);
}

static int refuse(struct buf *why, const char *words)
{
	buf_text(why, words);
	return -EINVAL;
}

static int folder_check(const struct cache_config *c, struct buf *why)
{
	static const char *const of_servers[] = {
	    "endpoint", "region",	 "path_style", "env_file",    "credentials",
	    "profile",	"storage_class", "sse",	       "sse_kms_key", "checksum",
	    "verify"};
	const char *folder = c->bucket.spec + strlen("file://");

	for (size_t i = 0; i < sizeof(of_servers) / sizeof(of_servers[0]); i++)
		if (is_given(c, of_servers[i])) {
			buf_printf(why,
				   "%s is for an S3 server and means nothing for the folder %s: "
				   "leave it out",
				   of_servers[i], c->bucket.spec);
			return -EINVAL;
		}
	if (is_below(c->cache, folder) || is_below(folder, c->cache)) {
		buf_printf(
		    why,
		    "the cache %s and the bucket %s must not lie in each other: set cache=FOLDER",
		    c->cache, c->bucket.spec);
		return -EINVAL;
	}
	return 0;
}

static int server_check(const struct cache_config *c, struct buf *why)
{
	const struct bucket_config *b = &c->bucket;

	if (b->endpoint && strncmp(b->endpoint, "https://", 8) != 0 &&
	    strncmp(b->endpoint, "http://", 7) != 0) {
		buf_printf(why, "endpoint cannot be \"%.200s\": it begins with https:// or http://",
			   b->endpoint);
		return -EINVAL;
	}
	if (b->sse_kms_key && !(b->sse && strncmp(b->sse, "aws:kms", 7) == 0))
		return refuse(why, "sse_kms_key needs sse=aws:kms");
	return 0;
}

static int whole_check(const struct cache_config *c, struct buf *why)
{
	struct sockaddr_storage address;
	socklen_t length;

	if (c->ro && c->durability_bucket)
		return refuse(
		    why, "durability=bucket is about writing, and ro forbids it: leave one out");
	if (c->part_size_bytes > c->cache_size_bytes / 4) {
		buf_printf(why,
			   "part_size must not be more than a quarter of cache_size (%" PRIu64
			   " bytes): parts wait in the cache",
			   c->cache_size_bytes);
		return -EINVAL;
	}
	if (c->metrics && loopback_parse(c->metrics, &address, &length)) {
		buf_printf(why,
			   "metrics cannot be \"%.100s\": only this computer may ask, so it is 127.0.0.1:PORT or "
			   "[::1]:PORT",
			   c->metrics);
		return -EINVAL;
	}
	return is_folder_bucket(c) ? folder_check(c, why) : server_check(c, why);
}

/* A name for the bucket's cache: readable, and unlike that of any other bucket. The digest is
 * FNV-1a. */
static void cache_name(const char *spec, struct buf *out)
{
	uint64_t digest = 0xcbf29ce484222325u;
	size_t length = strlen(spec);
	const char *name = strstr(spec, "://");

	while (length > 0 && spec[length - 1] == '/')
		length--;
	for (size_t i = 0; i < length; i++)
		digest = (digest ^ (unsigned char)spec[i]) * 0x100000001b3u;
	name = name ? name + 3 : spec;
	while (*name == '/')
		name++;
	for (size_t i = 0; name + i < spec + length && i < 80; i++) {
		char c = name[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '.' || c == '_';

		buf_append(out, plain && (i > 0 || c != '.') ? &c : "-", 1);
	}
	buf_printf(out, "-%08" PRIx32, (uint32_t)(digest ^ digest >> 32));
}

static int cache_choose(struct cache_config *c, struct buf *why)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	struct buf path = BUF_EMPTY;
	int r;

	if (c->cache)
		return 0;
	if (geteuid() == 0)
		buf_text(&path, "/var/cache");
	else if (xdg && xdg[0] == '/')
		buf_text(&path, xdg);
	else if (home && home[0] == '/')
		buf_printf(&path, "%s/.cache", home);
	else
		return refuse(why,
			      "there is no home folder to keep the cache in: set cache=FOLDER");
	buf_text(&path, "/tootfs/");
	cache_name(c->bucket.spec, &path);
	r = path.failed ? -ENOMEM : config_text_set(&c->cache, buf_string(&path));
	buf_destroy(&path);
	return r;
}

int config_finish(struct cache_config *c, struct buf *why)
{
	int r;

	if (!c->bucket.spec)
		return refuse(why,
			      "no bucket is given: s3://NAME, s3://NAME/PREFIX or file:///FOLDER");
	c->bucket.io_timeout_ms = c->io_timeout_ms;
	/* A few more for what is neither: lists, copies, deletes. */
	c->bucket.connections_max = (int)(c->uploads + c->downloads) + 8;
	r = cache_choose(c, why);
	return r ? r : whole_check(c, why);
}
