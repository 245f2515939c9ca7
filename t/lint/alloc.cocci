// what an allocation returned is used before it was looked at

@a exists@
expression p;
identifier f = {
  ngx_alloc, ngx_calloc, ngx_memalign, ngx_palloc, ngx_pnalloc, ngx_pcalloc,
  ngx_pmemalign, ngx_prealloc, ngx_pstrdup, ngx_slab_alloc, ngx_slab_calloc,
  ngx_slab_alloc_locked, ngx_slab_calloc_locked, ngx_array_create,
  ngx_array_push, ngx_array_push_n, ngx_list_create, ngx_list_push,
  ngx_alloc_chain_link, ngx_calloc_buf, ngx_alloc_buf, ngx_create_temp_buf,
  ngx_create_pool, ngx_pool_cleanup_add, ngx_http_cleanup_add,
  ngx_get_connection
};
identifier m, g;
expression e;
position q, u;
@@
 p = f@q(...);
 ... when != \(p == NULL\|p != NULL\)
     when != p = e
(
 p@u->m
|
 *p@u
|
 p@u[e]
|
 g(..., p@u, ...)
)

@script:python@
q << a.q;
u << a.u;
p << a.p;
f << a.f;
@@
print("%s:%s: [alloc] %s = %s() unchecked, used in line %s"
      % (q[0].file, q[0].line, p, f, u[0].line))
