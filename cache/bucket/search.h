/* One search for credentials under way; for credentials.c and the places that it asks.
 *
 * The places return 0 = a key was found, 1 = there is none (noted in looked), or -errno with the
 * fault set. */
#ifndef TOOTFS_SEARCH_H
#define TOOTFS_SEARCH_H

#include <stdbool.h>
#include "cache/base/buf.h"
#include "credentials.h"

struct search {
	/* The options; "" = not given. bucket is NAME of s3://NAME/PREFIX. */
	const char *env_file, *credentials, *asked_profile, *bucket;
	struct credentials *key;
	struct place *place;
	const char *profile; /* asked for, or AWS_PROFILE, or "default" */
	bool place_known;    /* an env_file said where: nothing else may */
	bool key_known;	     /* the file that is being read is only asked for the place */
	bool profile_seen;   /* in the file that is being read */
	char too_long[64];   /* the name of a setting that does not fit, or "" */
	struct buf looked;   /* the places searched, for the last message */
};

/* A setting and where its value goes; a table of them ends with the name NULL. */
struct setting {
	const char *name;
	char *out;
	size_t space;
};
#define SETTING(name, field)                                                                       \
	{                                                                                          \
		name, field, sizeof(field)                                                         \
	}

/* Copies a value, or notes that it is too long. */
void search_keep(struct search *s, const char *name, const char *value, char *out, size_t space);
/* The same for the row of that name; false = there is none. */
bool search_keep_setting(struct search *s, const struct setting *table, const char *name,
			 const char *value);
/* 0 = the key can be used; 1 = there is none; -EACCES = half a key, or one that could not be sent.
 */
int search_usable(const struct search *s, const char *where) MUST_CHECK;
/* A variable of the environment, or "". */
const char *search_variable(const char *name);

int search_env_file(struct search *s) MUST_CHECK;	  /* search_env.c */
int search_credentials_file(struct search *s) MUST_CHECK; /* search_files.c */
int search_shared(struct search *s) MUST_CHECK;

#endif
