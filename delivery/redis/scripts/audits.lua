-- audits.lua continues common.lua: how the audit logs of tenants are written.

local audit_most, audit_most_bytes = 10000, 8388608 -- delivery.MaxAudit and MaxAuditBytes

local function audit_key(tenant) return base .. 'audit:' .. tenant end
local function audits_key() return base .. 'audits' end
local function auditbytes_key() return base .. 'auditbytes' end

-- How many bytes the audit log of a tenant has. If that is lost, they are counted.
local function audit_bytes(tenant)
  local bytes = read('HGET', auditbytes_key(), tenant)
  if bytes and string.find(bytes, '^%d+$') then return tonumber(bytes) end
  if bytes then set_field_aside(auditbytes_key(), tenant, bytes, 'no number of bytes') end
  local sum = 0
  for _, entry in ipairs(read('ZRANGE', audit_key(tenant), 0, -1)) do sum = sum + #entry end
  return sum
end

-- Must follow every change of an audit log: it keeps what is known of it.
local function keep_audit(tenant, bytes)
  local oldest = read('ZRANGE', audit_key(tenant), 0, 0)[1]
  while oldest and #oldest < 16 do -- another program wrote it
    write('ZREM', audit_key(tenant), oldest)
    oldest = read('ZRANGE', audit_key(tenant), 0, 0)[1]
  end
  if oldest then
    write('HSET', auditbytes_key(), tenant, math.max(0, bytes))
    write('ZADD', audits_key(), (struct.unpack('>I6', oldest)), tenant)
  else
    write('HDEL', auditbytes_key(), tenant)
    write('ZREM', audits_key(), tenant)
  end
end

-- Removes entries, which are the oldest, of an audit log that has so many bytes.
local function remove_audits(tenant, entries, bytes)
  for _, entry in ipairs(entries) do bytes = bytes - #entry end
  in_chunks('ZREM', audit_key(tenant), entries)
  return bytes
end

-- Removes the oldest entries of an audit log that has become too large, but never the newest.
local function trim_audit(tenant, bytes)
  local key = audit_key(tenant)
  local count = read('ZCARD', key)
  if count <= audit_most and bytes <= audit_most_bytes then return bytes end
  while count > 1 and (count > audit_most * 0.9 or bytes > audit_most_bytes * 0.9) do
    local going, left = {}, bytes
    for i, entry in ipairs(read('ZRANGE', key, 0, math.min(99, count - 2))) do
      if count <= audit_most * 0.9 and left <= audit_most_bytes * 0.9 then break end
      going[i] = entry
      count, left = count - 1, left - #entry
    end
    bytes = remove_audits(tenant, going, bytes)
  end
  return bytes
end

-- Writes entries of a tenant's audit log that are not there: from an argument on, id and
-- record of each. It adds those that it writes to the last argument.
local function add_audits(tenant, from, added)
  if not ARGV[from] then return end
  local key, bytes = audit_key(tenant), audit_bytes(tenant)
  for i = from, #ARGV, 2 do
    local id, entry = ARGV[i], ARGV[i] .. ARGV[i + 1]
    -- No record begins with a byte of all ones.
    if #read('ZRANGEBYLEX', key, '[' .. id, '(' .. id .. '\255', 'LIMIT', 0, 1) == 0 then
      write('ZADD', key, 0, entry)
      added[#added + 1], bytes = entry, bytes + #entry
    end
  end
  keep_audit(tenant, trim_audit(tenant, bytes))
end

-- Makes a change whose entries are the arguments from one on. They come first, so that nothing is
-- changed that they do not tell of. If the change breaks off, before its last write, it is not
-- made, and they go.
local function audited(tenant, from, change)
  local added = {}
  local made, why = pcall(function()
    add_audits(tenant, from, added)
    change()
  end)
  if made then return end
  if #added > 0 then
    pcall(function() keep_audit(tenant, remove_audits(tenant, added, audit_bytes(tenant))) end)
  end
  error(why)
end
