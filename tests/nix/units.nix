# Writes units as NixOS does: each item of a list is a line of its own.
{ lib }:
systemd:
let
  value =
    it:
    if it == true then
      "true"
    else if it == false then
      "false"
    else
      toString it;
  section =
    name: attrs:
    let
      lines = lib.concatLists (
        lib.mapAttrsToList (key: it: map (item: "${key}=${value item}\n") (lib.toList it)) attrs
      );
    in
    lib.optionalString (attrs != { }) "[${name}]\n${lib.concatStrings lines}\n";
  said = lib.filterAttrs (_: it: it != [ ] && it != null);
  unit =
    it:
    section "Unit" (
      said {
        Description = it.description;
        Requires = it.requires;
        Wants = it.wants;
        After = it.after;
        StartLimitIntervalSec = it.startLimitIntervalSec;
      }
      // it.unitConfig
    );
  install = it: section "Install" (said { WantedBy = it.wantedBy; });
  write =
    suffix: middle:
    lib.mapAttrs' (name: it: lib.nameValuePair "${name}.${suffix}" (unit it + middle it + install it));
in
write "service" (it: section "Service" it.serviceConfig) systemd.services
// write "socket" (it: section "Socket" ({ ListenStream = it.listenStreams; } // it.socketConfig)) systemd.sockets
// write "path" (it: section "Path" it.pathConfig) systemd.paths
// write "timer" (it: section "Timer" it.timerConfig) (
  # A service's startAt stands in its timer.
  lib.mapAttrs (
    name: it:
    it // { timerConfig = { OnCalendar = systemd.services.${name}.startAt; } // it.timerConfig; }
  ) systemd.timers
)
// write "target" (_: "") systemd.targets
