# Reads an index and fetches its models at build time, by the digests that the daemon goes by.
# Needs nixpkgs' lib alone; only the layouts that are folders need pkgs.
{ lib }:
let
  index = import ./index.nix { inherit lib; };
  fetch = import ./fetch.nix { inherit lib index; };
in
{
  inherit (index) readIndex;
  inherit (fetch) fetchModel fetchModels;
}
