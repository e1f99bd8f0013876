-- Health of a kind that reports conditions. The first rule that holds gives the answer.
-- An object that is being deleted is Progressing to Argo CD, which asks no check about it.
local status = obj.status or {}
local generation = obj.metadata.generation or 0
local annotations = obj.metadata.annotations or {}

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function health(word, message)
  return {status = word, message = message}
end

-- What was said of an earlier generation tells nothing about this one.
local function speaks_of_now(condition)
  return condition ~= nil and (condition.observedGeneration or generation) >= generation
end

local function holds(condition, answer)
  return speaks_of_now(condition) and condition.status == answer
end

local function said(condition)
  local message = condition ~= nil and condition.message or ""
  if message == "" and condition ~= nil then
    return condition.reason or ""
  end
  return message
end

local ready, synced, progressing = conditions.Ready, conditions.Synced, conditions.Progressing

if annotations["crossplane.io/paused"] == "true" then
  return health("Suspended", "Paused by the annotation crossplane.io/paused")
end

-- A managed resource says -1 before anybody has looked at it; a machine, whose CRD has no defaults in status, nothing.
if obj.status == nil or (status.observedGeneration or generation) < generation then
  return health("Progressing", "Not looked at yet")
end

if holds(synced, "False") and synced.reason == "ReconcilePaused" then
  return health("Progressing", "No longer paused, and not looked at yet")
end

if holds(synced, "False") then
  return health("Degraded", said(synced))
end

if not speaks_of_now(ready) then
  return health("Progressing", "Not looked at yet")
end

-- Nobody vouches for it: the agent of its DPU is lost, or its BMC does not answer.
if ready.status == "Unknown" or status.printableStatus == "Unknown" then
  return health("Unknown", said(holds(ready, "Unknown") and ready or progressing))
end

-- The machine says so itself when waiting alone does not help: it names the child that fails and why.
if ready.status ~= "True" and holds(progressing, "False") then
  return health("Degraded", said(progressing))
end

if ready.status ~= "True" then
  return health("Progressing", said(progressing or ready))
end

if status.printableStatus == "Stopped" or (obj.kind == "PowerState" and (status.atProvider or {}).state == "Off") then
  return health("Suspended", "Powered off")
end

return health("Healthy", "")
