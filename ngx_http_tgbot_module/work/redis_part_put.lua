-- Part of the scripts: adds items to the queue.

-- Whether there is no room for an item of so many bytes: returns nil, or the
-- reply.

local function put_full(size, limit, limit_size, lanes)
  if size > limit_size then
    return {4}
  end

  if (meta.items or 0) < limit and (meta.bytes or 0) + size <= limit_size then
    return nil
  end

  local oldest = redis.call('ZRANGE', lanes, 0, 0, 'WITHSCORES')

  return {3, oldest[2] and math.max(0, now - oldest[2]) or 0}
end


-- Puts an item at the end of its lane.  A lane that has items is ready, delayed
-- or in flight, and so is one that is in lanes although its list was deleted:
-- they are not made ready.

local function put_item(event, lanes, ready, lane, name, payload)
  local seq = (meta.seq or us) + 1
  local item = int(seq) .. ' ' .. int(now) .. ' ' .. payload

  local count = redis.call('RPUSH', lane, item)

  meta_set('seq', seq)
  meta_set('items', (meta.items or 0) + 1)
  meta_set('bytes', (meta.bytes or 0) + #item)
  meta_set(event, (meta[event] or 0) + 1)

  if count == 1 and redis.call('ZADD', lanes, 'NX', int(now), name) == 1 then
    ready_push(ready, {name}, true)
  end

  return seq
end
