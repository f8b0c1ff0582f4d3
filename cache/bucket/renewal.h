/* One look for a key, and the line for the log that follows from it; for credentials.c. */
#ifndef TOOTFS_RENEWAL_H
#define TOOTFS_RENEWAL_H

#include "search.h"

struct finding {
	struct credentials key;
	int error;
	bool again;
	char why[512], from[512];
};

/* s as for search_run but for recipe. Takes its time: see recipe_follow. */
void renewal_find(struct search *s, const atomic_bool *stop, struct finding *out);

/* How much an operator knows of what is wrong. */
enum renewal_told { TOLD_NOTHING, TOLD_RENEWAL_FAILS, TOLD_NO_KEY };

struct news {
	enum { NEWS_NONE, NEWS_WORSE, NEWS_OVER, NEWS_NEW, NEWS_READ } kind;
	enum renewal_told told; /* NEWS_WORSE: what there is to know */
	bool refused;		/* by the server; with code */
	int64_t left_s;		/* that the key in use is good for; 0 = for ever */
	char code[64];
};

void renewal_tell(const struct news *news, const struct finding *finding);

#endif
