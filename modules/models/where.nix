# Where things are: inside one another, in the build or on the host, at which address.
{ lib }:
{
  # The daemon's own folder, and the config that the build has checked.
  stateFolder = "/var/lib/hallmark";
  configFile = "/etc/hallmark/hallmark.toml";

  inside = outer: inner: lib.hasPrefix "${outer}/" "${inner}/";

  # Whether the build knows what is there.
  isInBuild = path: lib.isPath path || lib.hasPrefix "${builtins.storeDir}/" (toString path);

  # As systemd and hallmark write it.
  socketAddress =
    address: port:
    "${if lib.hasInfix ":" address then "[${address}]" else address}:${toString port}";

  # Where systemd puts what LoadCredential names. The unit's name is part of it, so it can be written down.
  credential = name: "/run/credentials/hallmark.service/${name}";
}
