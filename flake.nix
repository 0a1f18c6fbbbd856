{
  description = "Hallmark: the model registry that a NixOS fleet can trust";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      darwin = [
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      pkgsOf = system: nixpkgs.legacyPackages.${system};
      forSystems = systems: make: lib.genAttrs systems (system: make system (pkgsOf system));
      forAll = forSystems (linux ++ darwin);
      hallmarkOf = pkgs: self.packages.${pkgs.stdenv.hostPlatform.system}.hallmark;
      app = package: arguments: {
        type = "app";
        program = lib.getExe package;
      } // arguments;
    in
    {
      lib = import ./modules/lib { inherit lib; };

      overlays.default = _: prev: {
        hallmark = prev.callPackage ./modules/package.nix { };
      };

      nixosModules = rec {
        models = lib.modules.importApply ./modules/models/module.nix { defaultPackage = hallmarkOf; };
        default = models;
      };

      packages = forAll (
        _: pkgs: rec {
          hallmark = pkgs.callPackage ./modules/package.nix { };
          default = hallmark;
          options = pkgs.writeText "OPTIONS.md" (import ./modules/options-page.nix { inherit lib; });
        }
      );

      apps = forAll (
        _: pkgs: rec {
          hallmark = app (hallmarkOf pkgs) { meta.description = "The model registry's daemon and commands"; };
          default = hallmark;
          demo = app (pkgs.writeShellScriptBin "hallmark-demo" ''exec ${lib.getExe (hallmarkOf pkgs)} demo "$@"'') {
            meta.description = "The whole job on one machine, without a network";
          };
        }
      );

      checks = forSystems linux (
        _: pkgs:
        import ./modules/checks.nix {
          inherit self lib pkgs;
          hallmark = hallmarkOf pkgs;
        }
      );

      devShells = forAll (
        _: pkgs: {
          default = pkgs.mkShell {
            packages = [
              pkgs.cargo
              pkgs.clippy
              pkgs.deadnix
              pkgs.git
              pkgs.nixfmt
              pkgs.openssl
              pkgs.perl
              pkgs.pkg-config
              pkgs.rust-analyzer
              pkgs.rustc
              pkgs.rustfmt
            ];
          };
        }
      );

      formatter = forAll (_: pkgs: pkgs.nixfmt-tree);

      nixosConfigurations.example = lib.nixosSystem {
        system = "x86_64-linux";
        modules = [
          self.nixosModules.default
          ./modules/example.nix
        ];
      };
    };
}
