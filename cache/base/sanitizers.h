/* Which sanitizer this is built for: ADDRESS_SANITIZER, THREAD_SANITIZER. gcc and clang say it in ways of their own. */
#ifndef TOOTFS_SANITIZERS_H
#define TOOTFS_SANITIZERS_H

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER
#endif
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define ADDRESS_SANITIZER
#endif
#ifdef __SANITIZE_THREAD__
#define THREAD_SANITIZER
#endif

#endif
