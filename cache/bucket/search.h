/* The search for credentials, for credentials.c and the places that are searched.
 *
 * It reads options, environment and files, and never waits for a network or a program: those come
 * when the recipe that it found is followed. The places return 0 = the recipe is complete, 1 =
 * there is nothing (noted in looked), or -errno with the fault set. */
#ifndef TOOTFS_SEARCH_H
#define TOOTFS_SEARCH_H

#include <stdbool.h>
#include "cache/base/buf.h"
#include "recipe.h"

struct search {
	/* The options; "" = not given. bucket is NAME of s3://NAME/PREFIX. */
	const char *env_file, *credentials, *asked_profile, *bucket, *region;
	struct recipe *recipe;
	struct place *place;

	/* The search's own. */
	const char *profile;  /* asked for, or AWS_PROFILE, or "default" */
	bool place_known;     /* an env_file said where: nothing else may */
	bool key_known;	      /* the file that is being read is only asked for the place */
	bool profile_seen;    /* in the file that is being read */
	char unsupported[64]; /* a setting of the profile that leads to a key which is not for us */
	char too_long[64];    /* the name of a setting that does not fit, or "" */
	struct buf looked;    /* the places searched, for the last message */
};

/* Set the options, recipe and place; the rest to zero. -EACCES, -EINVAL, -ENOMEM … with the fault.
 * The place is what was found, also on an error. looked tells of all places that had nothing, and
 * is the caller's to destroy. */
int search_run(struct search *s) MUST_CHECK;

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
/* Whether the key written down at where can be used: 0 = so the recipe is; 1 = there is none;
 * -EACCES = half a key, or one that could not be sent. */
int search_usable(struct search *s, const char *where) MUST_CHECK;
/* The same for role_arn and token_file. */
int search_web_identity(struct search *s, const char *where) MUST_CHECK;
/* A variable of the environment, or "". */
const char *search_variable(const char *name);

int search_env_file(struct search *s) MUST_CHECK;	  /* search_env.c */
int search_credentials_file(struct search *s) MUST_CHECK; /* search_files.c */
int search_shared(struct search *s) MUST_CHECK;

#endif
