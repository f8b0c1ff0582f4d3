/* The text formats in which others keep credentials. Pure: they work in place on the caller's text,
 * which is NUL-terminated and holds no other NUL, and copy nothing, so that wiping that text wipes
 * all. */
#ifndef TOOTFS_SETTINGS_H
#define TOOTFS_SETTINGS_H

#include <stdbool.h>

/* section is "" before the first one and in an env file. A non-zero return ends the walk. */
typedef int settings_visit(void *arg, const char *section, const char *name, const char *value);

/* KEY=VALUE lines as dotenv and systemd read them: export, comments, quotes. */
int settings_env(char *text, settings_visit *visit, void *arg);
/* [section] and name = value lines of the AWS shared files; nested (indented) settings are left
 * out. */
int settings_ini(char *text, settings_visit *visit, void *arg);
/* Has a [section] line: tells the two formats of a credentials file apart. */
bool settings_is_ini(const char *text);

/* Splits a command into words, at most max, as a shell would without expanding anything: quotes and
 * backslashes. The number of words; -1 = too many, or a quote is open. */
int settings_words(char *text, char **words, int max);

struct settings_pair {
	const char *access_key, *secret; /* into the text; NULL = none found */
	unsigned lines;			 /* that hold a key */
	bool of_bucket;			 /* the line was BUCKET:ACCESS:SECRET */
};
/* A passwd file of s3fs: ACCESS:SECRET, or BUCKET:ACCESS:SECRET for this bucket, which is
 * preferred. */
void settings_passwd(char *text, const char *bucket, struct settings_pair *out);

#endif
