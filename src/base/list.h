/* list.h - intrusive doubly linked list with a sentinel. */
#ifndef QUDAG_SRC_BASE_LIST_H
#define QUDAG_SRC_BASE_LIST_H

#include "base/types.h"

struct list {
    struct list *next, *prev;
};

#define LIST_ENTRY(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define LIST_EACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* |it| may be removed inside the loop. */
#define LIST_EACH_SAFE(it, tmp, head)                                                              \
    for (struct list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

static inline void list_init(struct list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

/* Whether a node that list_init() or list_del() prepared is in a list. */
static inline bool list_linked(const struct list *n)
{
    return n->next != n;
}

static inline void list_push_back(struct list *head, struct list *n)
{
    n->prev = head->prev;
    n->next = head;
    head->prev->next = n;
    head->prev = n;
}

static inline void list_push_front(struct list *head, struct list *n)
{
    n->next = head->next;
    n->prev = head;
    head->next->prev = n;
    head->next = n;
}

/* All of |from|, in their order, behind those of |to|. */
static inline void list_move(struct list *to, struct list *from)
{
    while (!list_empty(from)) {
        struct list *n = from->next;

        n->next->prev = from;
        from->next = n->next;
        list_push_back(to, n);
    }
}

/* Harmless on a node that is in no list but was initialised. */
static inline void list_del(struct list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

#endif
