# A stand-in for nixpkgs: its real lib, put beside this file, and just enough else to evaluate a flake without a network.
{
  description = "Stand-in for nixpkgs";
  outputs =
    _:
    let
      plain = import ./lib;
      evalSystem = import ./system.nix { lib = plain; };
      pkgsFor =
        system:
        let
          pkgs = import ./pkgs.nix {
            lib = plain;
            inherit system;
          };
          # Evaluates what the machines of a test would be.
          runNixOSTest =
            test:
            let
              machine = module: (evalSystem { modules = [ module ]; inherit pkgs; }).config.system.build.toplevel;
            in
            pkgs.writeText "vm-test-${test.name}" (
              builtins.toJSON {
                nodes = plain.mapAttrs (_: machine) test.nodes;
                script = if plain.isFunction test.testScript then test.testScript { nodes = { }; } else test.testScript;
              }
            );
        in
        pkgs // { testers = { inherit runNixOSTest; }; };
      lib = plain.extend (
        _: _: {
          nixosSystem =
            {
              modules,
              system ? "x86_64-linux",
              specialArgs ? { },
            }:
            evalSystem {
              inherit modules specialArgs;
              pkgs = pkgsFor system;
            };
        }
      );
    in
    {
      inherit lib;
      legacyPackages = plain.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ] pkgsFor;
    };
}
